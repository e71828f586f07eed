//! One look at an instance, item by item.

use std::{cmp::Reverse, collections::BTreeMap, error::Error, future::poll_fn, task::Poll};

use base::{Timestamp, limits, stdx::with_causes};

use super::{
    InspectedResource, InspectionItem, InspectionItemOutcome, InspectionResult, InspectionRun,
    ResourceKind, template, templates::lookback_ms,
};
use crate::{
    Group, Instance, InstanceRecord, Topic, metadata::is_application_topic,
    system_names::is_system_group,
};

/// Why something could not be looked at.
pub(super) type CheckError = Box<dyn Error + Send + Sync>;

/// What a check has to say of one thing; nothing where all is well.
pub(super) type Said = Result<Option<(InspectionResult, String)>, CheckError>;

/// How a template looks.
#[derive(Clone, Copy)]
pub(super) enum Check {
    /// At the instance as a whole.
    Instance(fn(&Look<'_>) -> Said),
    /// At each topic that an application has made.
    Topic(fn(&Look<'_>, &Topic) -> Said),
    /// At each group that an application has made.
    Group(fn(&Look<'_>, &Group) -> Said),
}

/// What a check knows.
pub(super) struct Look<'a> {
    pub(super) instance: &'a Instance,
    pub(super) record: &'a InstanceRecord,
    pub(super) now: Timestamp,
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

/// What all items of a run find.
pub(crate) async fn look(
    run: &InspectionRun,
    instance: &Instance,
    record: &InstanceRecord,
    now: impl Fn() -> Timestamp,
) -> Vec<InspectionItemOutcome> {
    let mut outcomes = Vec::with_capacity(run.spec.items.len());
    let mut room = limits::INSPECTION_RESOURCES_MAX;
    for item in &run.spec.items {
        let look = Look {
            instance,
            record,
            now: now(),
            parameters: item.effective(),
        };
        let mut outcome = look_by(item, run, &look).await;
        outcome.observed_at_ms = look.now.ms();
        outcome.resources.sort_by_key(|found| Reverse(found.result));
        outcome.resources.truncate(room);
        room -= outcome.resources.len();
        outcomes.push(outcome);
    }
    outcomes
}

async fn look_by(
    item: &InspectionItem,
    run: &InspectionRun,
    look: &Look<'_>,
) -> InspectionItemOutcome {
    let mut outcome = InspectionItemOutcome {
        template: item.template.clone(),
        ..InspectionItemOutcome::default()
    };
    let Some(template) = template(&item.template) else {
        outcome.error = Some("this release has no such template".to_owned());
        return outcome;
    };
    let (kind, scope) = (template.kind(), &run.spec.scope);
    match template.check {
        Check::Instance(check) => {
            outcome.note(kind, look.instance.id().as_str(), check(look));
        }
        Check::Topic(check) => {
            for topic in look.instance.topics() {
                if is_application_topic(topic.name()) && scope.has_topic(topic.name()) {
                    outcome.note(kind, topic.name().as_str(), check(look, &topic));
                    give_way().await;
                }
            }
        }
        Check::Group(check) => {
            for group in look.instance.groups() {
                let name = group.name();
                if !is_system_group(name.as_str()) && scope.has_group(name) {
                    outcome.note(kind, name.as_str(), check(look, &group));
                    give_way().await;
                }
            }
        }
    }
    outcome
}

impl InspectionItemOutcome {
    fn note(&mut self, kind: ResourceKind, name: &str, said: Said) {
        self.looked_at += 1;
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
            // One that is gone meanwhile, or cannot be read: the others are looked at.
            Err(error) => self.error = Some(format!("{name}: {}", with_causes(&*error))),
        }
    }
}
