//! One look at an instance, item by item: what is seen, and then what there is to say of it.

use std::{cmp::Reverse, collections::BTreeMap, error::Error, future::poll_fn, task::Poll};

use base::{Timestamp, limits, stdx::with_causes};

use super::{
    InspectedResource, InspectionItem, InspectionItemOutcome, InspectionResult, InspectionRun,
    ResourceKind,
    seen::{Seen, SeenByItem},
    template,
    templates::lookback_ms,
};
use crate::{
    Group, Instance, InstanceRecord, Topic, metadata::is_application_topic,
    system_names::is_system_group,
};

/// Why something could not be looked at.
pub(super) type CheckError = Box<dyn Error + Send + Sync>;

/// What a node sees of one thing.
pub(super) type Sight = Result<Seen, CheckError>;

/// What there is to say of one thing; nothing where all is well.
pub(super) type Said = Result<Option<(InspectionResult, String)>, CheckError>;

/// How a template looks at things of one kind: what each node sees of one, and what there is to say
/// of that together.
#[derive(Clone, Copy)]
pub(super) enum Check {
    /// At the instance as a whole.
    Instance(fn(&Look<'_>) -> Sight, fn(&Look<'_>, &Seen) -> Said),
    /// At each topic that an application has made.
    Topic(
        fn(&Look<'_>, &Topic) -> Sight,
        fn(&Look<'_>, &Topic, &Seen) -> Said,
    ),
    /// At each group that an application has made.
    Group(
        fn(&Look<'_>, &Group) -> Sight,
        fn(&Look<'_>, &Group, &Seen) -> Said,
    ),
}

/// What a check knows.
pub(super) struct Look<'a> {
    pub(super) instance: &'a Instance,
    pub(super) record: &'a InstanceRecord,
    pub(super) now: Timestamp,
    /// Whether a node is missing: what is not seen may be there.
    pub(super) is_partial: bool,
    parameters: BTreeMap<String, i64>,
}

impl Look<'_> {
    /// A parameter that the template has.
    pub(super) fn number(&self, key: &str) -> i64 {
        self.parameters.get(key).copied().unwrap_or_default()
    }

    /// The same of a count.
    pub(super) fn count(&self, key: &str) -> u64 {
        u64::try_from(self.number(key)).unwrap_or(0)
    }

    /// When the time begins that is looked at.
    pub(super) fn from(&self) -> Timestamp {
        Timestamp::from_ms(self.now.ms() - lookback_ms(&self.parameters))
    }
}

/// Lets others work: an instance may have thousands of groups.
async fn give_way() {
    let mut given = false;
    poll_fn(|context| {
        if std::mem::replace(&mut given, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// An instance that is looked at.
pub(crate) struct Inspected<'a> {
    pub(crate) run: &'a InspectionRun,
    pub(crate) instance: &'a Instance,
    pub(crate) record: &'a InstanceRecord,
    /// The same for all nodes.
    pub(crate) now: Timestamp,
}

impl Inspected<'_> {
    fn look(&self, item: &InspectionItem) -> Look<'_> {
        Look {
            instance: self.instance,
            record: self.record,
            now: self.now,
            is_partial: false,
            parameters: item.effective(),
        }
    }

    fn topics(&self) -> impl Iterator<Item = std::sync::Arc<Topic>> {
        let scope = &self.run.spec.scope;
        let topics = self.instance.topics().into_iter();
        topics.filter(|it| is_application_topic(it.name()) && scope.has_topic(it.name()))
    }

    fn groups(&self) -> impl Iterator<Item = std::sync::Arc<Group>> {
        let scope = &self.run.spec.scope;
        let groups = self.instance.groups().into_iter();
        groups.filter(|it| !is_system_group(it.name().as_str()) && scope.has_group(it.name()))
    }

    /// What this node sees, in the order of the items.
    pub(crate) async fn see(&self) -> Vec<SeenByItem> {
        let mut seen = Vec::with_capacity(self.run.spec.items.len());
        for item in &self.run.spec.items {
            let (look, mut by_item) = (self.look(item), SeenByItem::default());
            match template(&item.template).map(|template| template.check) {
                // There is a word about that already.
                None => {}
                Some(Check::Instance(see, _)) => {
                    by_item.note(self.instance.id().as_str(), see(&look));
                }
                Some(Check::Topic(see, _)) => {
                    for topic in self.topics() {
                        by_item.note(topic.name().as_str(), see(&look, &topic));
                        give_way().await;
                    }
                }
                Some(Check::Group(see, _)) => {
                    for group in self.groups() {
                        by_item.note(group.name().as_str(), see(&look, &group));
                        give_way().await;
                    }
                }
            }
            seen.push(by_item);
        }
        seen
    }

    /// What there is to say of what all nodes see.
    pub(crate) async fn judge(&self, seen: &[SeenByItem]) -> Vec<InspectionItemOutcome> {
        let mut outcomes = Vec::with_capacity(self.run.spec.items.len());
        let mut room = limits::INSPECTION_RESOURCES_MAX;
        let nothing = SeenByItem::default();
        for (index, item) in self.run.spec.items.iter().enumerate() {
            let seen = seen.get(index).unwrap_or(&nothing);
            let mut outcome = self.judge_item(item, seen).await;
            outcome.observed_at_ms = self.now.ms();
            outcome.resources.sort_by_key(|found| Reverse(found.result));
            outcome.resources.truncate(room);
            room -= outcome.resources.len();
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn judge_item(&self, item: &InspectionItem, seen: &SeenByItem) -> InspectionItemOutcome {
        let mut outcome = InspectionItemOutcome {
            template: item.template.clone(),
            error: seen.error.clone(),
            ..InspectionItemOutcome::default()
        };
        let Some(template) = template(&item.template) else {
            outcome.error = Some("this release has no such template".to_owned());
            return outcome;
        };
        let kind = template.kind();
        let look = Look {
            is_partial: seen.is_partial,
            ..self.look(item)
        };
        match template.check {
            Check::Instance(_, judge) => {
                let name = self.instance.id().as_str();
                outcome.note(kind, name, seen, |seen| judge(&look, seen));
            }
            Check::Topic(_, judge) => {
                for topic in self.topics() {
                    let name = topic.name().as_str();
                    outcome.note(kind, name, seen, |seen| judge(&look, &topic, seen));
                    give_way().await;
                }
            }
            Check::Group(_, judge) => {
                for group in self.groups() {
                    let name = group.name().as_str();
                    outcome.note(kind, name, seen, |seen| judge(&look, &group, seen));
                    give_way().await;
                }
            }
        }
        outcome
    }
}

impl SeenByItem {
    fn note(&mut self, name: &str, sight: Sight) {
        let seen = match sight {
            Ok(seen) if seen == Seen::default() => return,
            Ok(seen) => Some(seen),
            // One that is gone meanwhile, or cannot be read: the others are looked at.
            Err(error) => {
                let error = format!("{name}: {}", with_causes(&*error));
                self.error.get_or_insert(error);
                None
            }
        };
        self.things.insert(name.to_owned(), seen);
    }
}

impl InspectionItemOutcome {
    fn note(
        &mut self,
        kind: ResourceKind,
        name: &str,
        seen: &SeenByItem,
        judge: impl FnOnce(&Seen) -> Said,
    ) {
        self.looked_at += 1;
        let said = match seen.things.get(name) {
            // Why is said already.
            Some(None) => return,
            Some(Some(seen)) => judge(seen),
            None => judge(&Seen::default()),
        };
        match said {
            Ok(None | Some((InspectionResult::Normal, _))) => {}
            Ok(Some((result, summary))) => {
                match result {
                    InspectionResult::Risk => self.risks += 1,
                    InspectionResult::Info | InspectionResult::Normal => self.infos += 1,
                }
                // All risks are kept before anything else is, as far as there is room.
                let max = limits::INSPECTION_RESOURCES_MAX;
                if self.resources.len() >= max && result == InspectionResult::Risk {
                    let infos = |found: &InspectedResource| found.result == InspectionResult::Info;
                    if let Some(last) = self.resources.iter().rposition(infos) {
                        self.resources.remove(last);
                    }
                }
                if self.resources.len() < max {
                    self.resources.push(InspectedResource {
                        kind,
                        name: name.to_owned(),
                        result,
                        summary,
                    });
                }
            }
            Err(error) => self.error = Some(format!("{name}: {}", with_causes(&*error))),
        }
    }
}
