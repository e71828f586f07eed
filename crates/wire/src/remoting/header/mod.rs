//! Typed headers: what the fields of a command mean.
//!
//! One declaration per header gives the struct, its decoding and its encoding. A field that clients
//! must send has its plain type, one that they may leave out is an `Option` or has a default.
//! Unknown fields are passed over: signatures, namespaces and newer clients add theirs.
//!
//! To add a header: declare it with `header!` in the file of its verb, doc comment on every field.
//! Source: the `*RequestHeader` and `*ResponseHeader` classes of RocketMQ 5.5.0.

mod access;
mod broker;
mod client;
mod group;
mod instance;
mod lite;
mod node;
mod offset;
mod pop;
mod pull;
mod query;
mod route;
mod send;
mod topic;
mod transaction;
mod value;

pub use access::*;
pub use broker::*;
pub use client::*;
pub use group::*;
pub use instance::*;
pub use lite::*;
pub use node::*;
pub use offset::*;
pub use pop::*;
pub use pull::*;
pub use query::*;
pub use route::*;
pub use send::*;
pub use topic::*;
pub use transaction::*;
pub use value::FieldValue;

use super::ExtFields;

/// A typed header. Texts are borrowed from the command.
pub trait Header<'a>: Sized {
    /// Name in errors.
    const NAME: &'static str;

    /// Reads the header from the fields of a command.
    ///
    /// # Errors
    /// When a required field is missing or a value has the wrong form.
    fn decode(fields: &'a ExtFields) -> Result<Self, HeaderError>;

    /// Adds the header to the fields of a command.
    fn encode(&self, fields: &mut ExtFields);
}

/// The header of a command that has none.
impl<'a> Header<'a> for () {
    const NAME: &'static str = "none";

    fn decode(_: &'a ExtFields) -> Result<Self, HeaderError> {
        Ok(())
    }

    fn encode(&self, _: &mut ExtFields) {}
}

/// Why the fields of a command are not its header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// A required field is not there.
    #[error("{header} lacks the field `{field}`")]
    Missing {
        /// The header.
        header: &'static str,
        /// The field's name on the wire.
        field: &'static str,
    },
    /// A value has the wrong form.
    #[error("{header} field `{field}` is `{value}`, expected {expected}")]
    Invalid {
        /// The header.
        header: &'static str,
        /// The field's name on the wire.
        field: &'static str,
        /// First characters of the value.
        value: String,
        /// What a value looks like.
        expected: &'static str,
    },
}

/// Declares a header: `rust_name: type = "wireName"`; then `| "otherName"` for names that are read
/// but not written, and `or value` for what a field is when it is not there.
macro_rules! header {
    (
        $(#[$meta:meta])*
        pub struct $name:ident $(<$life:lifetime>)? {
            $(
                $(#[$field_meta:meta])*
                $field:ident: $type:ty = $wire:literal $(| $alias:literal)* $(or $default:expr)?,
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name $(<$life>)? {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        crate::remoting::header::header!(@impl $name [$($life)?] {
            $($field: $type = $wire [$($alias)*] [$($default)?],)*
        });
    };

    (@impl $name:ident [] { $($rest:tt)* }) => {
        crate::remoting::header::header!(@body ['a] [$name] $name { $($rest)* });
    };
    (@impl $name:ident [$life:lifetime] { $($rest:tt)* }) => {
        crate::remoting::header::header!(@body [$life] [$name<$life>] $name { $($rest)* });
    };

    (@body [$life:lifetime] [$($self:tt)*] $name:ident {
        $($field:ident: $type:ty = $wire:literal [$($alias:literal)*] [$($default:expr)?],)*
    }) => {
        impl<$life> crate::remoting::Header<$life> for $($self)* {
            const NAME: &'static str = stringify!($name);

            fn decode(
                fields: &$life crate::remoting::ExtFields,
            ) -> Result<Self, crate::remoting::HeaderError> {
                $(let mut $field: Option<&$life str> = None;)*
                for (name, value) in fields.iter() {
                    match name {
                        $($wire $(| $alias)* => $field = Some(value),)*
                        _ => {}
                    }
                }
                Ok(Self {
                    $($field: crate::remoting::header::header!(@read $field $wire [$($default)?]),)*
                })
            }

            fn encode(&self, fields: &mut crate::remoting::ExtFields) {
                $(crate::remoting::header::FieldValue::write(&self.$field, $wire, fields);)*
            }
        }
    };

    (@read $field:ident $wire:literal []) => {
        crate::remoting::header::FieldValue::read($field)
            .map_err(|refusal| refusal.of(Self::NAME, $wire))?
    };
    (@read $field:ident $wire:literal [$default:expr]) => {
        match $field {
            None => $default,
            value => crate::remoting::header::header!(@read value $wire []),
        }
    };
}
pub(in crate::remoting) use header;
