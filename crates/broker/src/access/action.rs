//! What is done to a resource.

use std::str::FromStr;

/// One kind of doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Action {
    /// Whatever it is; in policies only.
    All,
    /// Send.
    Pub,
    /// Receive, acknowledge, commit offsets.
    Sub,
    /// Create.
    Create,
    /// Change.
    Update,
    /// Delete.
    Delete,
    /// Look at one thing.
    Get,
    /// Look at all things of a kind.
    List,
}

impl Action {
    const EVERY: [Self; 8] = [
        Self::All,
        Self::Pub,
        Self::Sub,
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::Get,
        Self::List,
    ];

    /// RocketMQ's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Pub => "Pub",
            Self::Sub => "Sub",
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Get => "Get",
            Self::List => "List",
        }
    }
}

/// A text is no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("action is unknown, expected All, Pub, Sub, Create, Update, Delete, Get or List")]
pub struct ActionError;

impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, ActionError> {
        let mut every = Self::EVERY.into_iter();
        every
            .find(|action| action.name().eq_ignore_ascii_case(text))
            .ok_or(ActionError)
    }
}

/// Several actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ActionSet(u8);

impl ActionSet {
    /// The set of these.
    pub const fn of(actions: &[Action]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < actions.len() {
            bits |= 1 << actions[index] as u8;
            index += 1;
        }
        Self(bits)
    }

    /// Its actions.
    pub(super) fn each(self) -> impl Iterator<Item = Action> {
        let every = Action::EVERY.into_iter();
        every.filter(move |action| self.0 & (1 << *action as u8) != 0)
    }

    /// The set with that action.
    pub(super) const fn with(self, action: Action) -> Self {
        Self(self.0 | 1 << action as u8)
    }

    /// The set without that action.
    pub(super) const fn without(self, action: Action) -> Self {
        Self(self.0 & !(1 << action as u8))
    }

    /// Whether nothing is in it.
    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a policy with these actions speaks of a request that needs one of `wanted`.
    pub(super) const fn covers_one_of(self, wanted: Self) -> bool {
        const ALL: u8 = 1 << Action::All as u8;
        self.0 & ALL != 0 || self.0 & wanted.0 != 0
    }
}
