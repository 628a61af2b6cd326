//! The macro that declares kinds of events from a table.

/// Declares [`EventName`] and [`EventPayload`]: each row is a kind of event with its stored name, and
/// its fields with their stored names in display order.
macro_rules! events {
    ($(
        $(#[doc = $doc:literal])+
        $kind:ident = $name:literal {
            $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty = $key:literal,)*
        }
    )+) => {
        /// Kinds of event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventName {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl EventName {
            /// Every kind of event.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$kind),+];

            /// Returns the stable name, as stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }

            /// Returns when events of the kind are written, in sentences.
            pub const fn description(self) -> &'static str {
                match self {
                    $(Self::$kind => concat!($($doc),+).trim_ascii_start(),)+
                }
            }

            /// Returns the fields of the payload, in display order.
            pub fn fields(self) -> Vec<$crate::event::field_spec::EventFieldSpec> {
                match self {
                    $(Self::$kind => vec![$($crate::event::field_spec::EventFieldSpec {
                        name: $key,
                        description: concat!($($field_doc),+).trim_ascii_start(),
                        shape: <$type as $crate::event::fields::EventField>::shape(),
                    }),*],)+
                }
            }
        }

        /// Details of an event.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[expect(clippy::large_enum_variant, reason = "most events of a deployment are messages")]
        pub enum EventPayload {
            $($(#[doc = $doc])+ $kind { $($(#[doc = $field_doc])+ $field: $type,)* },)+
            /// A stored payload that this version does not recognize, for example of a newer version.
            Unrecognized {
                /// Kind of the event.
                name: EventName,
                /// The stored fields.
                fields: $crate::event::fields::EventFields,
            },
        }

        impl EventPayload {
            /// Returns the kind of the event.
            pub fn name(&self) -> EventName {
                match self {
                    $(Self::$kind { .. } => EventName::$kind,)+
                    Self::Unrecognized { name, .. } => *name,
                }
            }

            /// Returns the fields, as stored and sent.
            pub fn fields(&self) -> $crate::event::fields::EventFields {
                use $crate::event::fields::{EventField as _, EventValue};
                match self {
                    $(Self::$kind { $($field,)* } => {
                        let fields: [(&str, Option<EventValue>); _] =
                            [$(($key, $field.to_value()),)*];
                        let stored = fields.into_iter();
                        stored.filter_map(|(key, value)| Some((key.into(), value?))).collect()
                    })+
                    Self::Unrecognized { fields, .. } => fields.clone(),
                }
            }

            /// Returns the payload of a kind with these fields.
            pub(super) fn parse(
                name: EventName,
                fields: &$crate::event::fields::EventFields,
            ) -> Option<Self> {
                use $crate::event::{fields::EventField as _, message_fields::value_of};
                match name {
                    $(EventName::$kind => Some(Self::$kind {
                        $($field: <$type>::from_value(value_of(fields, $key))?,)*
                    }),)+
                }
            }
        }
    };
}

pub(super) use events;
