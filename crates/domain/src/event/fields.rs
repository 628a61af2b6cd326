//! Fields of event payloads: names and values, as stored and sent.

use std::borrow::Cow;

use crate::{
    event::field_spec::{EventFieldShape, EventFieldType},
    id::{KeyId, LinkId, OutboxId, WaMessageId, WebhookId},
    message::{
        kind::{MessageDirection, MessageKind, MessageSource},
        state::{FailureReason, MessageStatus},
    },
    session::{
        settings_field::SettingsField,
        spec::{Desired, RequestedAction},
        status::{ReasonCode, Status},
        unlink::LogoutOutcome,
    },
    share_link::revocation_cause::RevocationCause,
    time::Timestamp,
    webhook::{disabled_reason::DisabledReason, field::WebhookField},
};

/// A value in the payload of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventValue {
    /// Text.
    Text(String),
    /// An integer. Times are Unix milliseconds.
    Number(i64),
    /// A boolean.
    Flag(bool),
    /// Texts.
    Texts(Vec<String>),
    /// Names and values.
    Object(EventFields),
    /// The known absence of a value.
    Null,
}

/// Names and values of a payload, in display order. Stored names never change.
pub type EventFields = Vec<(Cow<'static, str>, EventValue)>;

/// A type of a field.
pub(super) trait EventField: Sized {
    /// Returns the value. `None` omits the field.
    fn to_value(&self) -> Option<EventValue>;

    /// Returns the values that the field can have.
    fn shape() -> EventFieldShape;

    /// Returns the field with this value, or without a value. `None` for a value of another type.
    fn from_value(value: Option<&EventValue>) -> Option<Self>;
}

impl EventField for String {
    fn shape() -> EventFieldShape {
        EventFieldType::Text.into()
    }

    fn to_value(&self) -> Option<EventValue> {
        Some(EventValue::Text(self.clone()))
    }

    fn from_value(value: Option<&EventValue>) -> Option<Self> {
        match value? {
            EventValue::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

impl EventField for Timestamp {
    fn shape() -> EventFieldShape {
        EventFieldType::Time.into()
    }

    fn to_value(&self) -> Option<EventValue> {
        Some(EventValue::Number(self.millis()))
    }

    fn from_value(value: Option<&EventValue>) -> Option<Self> {
        match value? {
            EventValue::Number(millis) => Some(Self::from_millis(*millis)),
            _ => None,
        }
    }
}

impl EventField for u32 {
    fn shape() -> EventFieldShape {
        EventFieldType::Count.into()
    }

    fn to_value(&self) -> Option<EventValue> {
        Some(EventValue::Number((*self).into()))
    }

    fn from_value(value: Option<&EventValue>) -> Option<Self> {
        match value? {
            EventValue::Number(number) => Self::try_from(*number).ok(),
            _ => None,
        }
    }
}

impl EventField for u64 {
    fn shape() -> EventFieldShape {
        EventFieldType::Count.into()
    }

    fn to_value(&self) -> Option<EventValue> {
        Some(EventValue::Number(i64::try_from(*self).unwrap_or(i64::MAX)))
    }

    fn from_value(value: Option<&EventValue>) -> Option<Self> {
        match value? {
            EventValue::Number(number) => Self::try_from(*number).ok(),
            _ => None,
        }
    }
}

impl EventField for bool {
    fn shape() -> EventFieldShape {
        EventFieldType::Flag.into()
    }

    fn to_value(&self) -> Option<EventValue> {
        Some(EventValue::Flag(*self))
    }

    fn from_value(value: Option<&EventValue>) -> Option<Self> {
        match value? {
            EventValue::Flag(flag) => Some(*flag),
            _ => None,
        }
    }
}

impl EventField for Vec<String> {
    fn shape() -> EventFieldShape {
        EventFieldType::Texts.into()
    }

    fn to_value(&self) -> Option<EventValue> {
        Some(EventValue::Texts(self.clone()))
    }

    fn from_value(value: Option<&EventValue>) -> Option<Self> {
        match value? {
            EventValue::Texts(texts) => Some(texts.clone()),
            _ => None,
        }
    }
}

/// `None` is a field with the value null.
impl<T: EventField> EventField for Option<T> {
    fn shape() -> EventFieldShape {
        EventFieldShape { nullable: true, ..T::shape() }
    }

    fn to_value(&self) -> Option<EventValue> {
        self.as_ref().map_or(Some(EventValue::Null), T::to_value)
    }

    fn from_value(value: Option<&EventValue>) -> Option<Self> {
        match value? {
            EventValue::Null => Some(None),
            value => T::from_value(Some(value)).map(Some),
        }
    }
}

/// A field that is omitted without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Omittable<T>(pub Option<T>);

impl<T: EventField> EventField for Omittable<T> {
    fn shape() -> EventFieldShape {
        EventFieldShape { optional: true, ..T::shape() }
    }

    fn to_value(&self) -> Option<EventValue> {
        self.0.as_ref().and_then(T::to_value)
    }

    fn from_value(value: Option<&EventValue>) -> Option<Self> {
        match value {
            None => Some(Self(None)),
            value => T::from_value(value).map(|value| Self(Some(value))),
        }
    }
}

/// Fields that are a list of stable names, separated by spaces.
macro_rules! name_list_fields {
    ($($type:ty),+ $(,)?) => {
        $(
            impl EventField for Vec<$type> {
                fn shape() -> EventFieldShape {
                    EventFieldType::SomeOf(<$type>::ALL.map(<$type>::as_str).to_vec()).into()
                }

                fn to_value(&self) -> Option<EventValue> {
                    let names: Vec<_> = self.iter().copied().map(<$type>::as_str).collect();
                    Some(EventValue::Text(names.join(" ")))
                }

                fn from_value(value: Option<&EventValue>) -> Option<Self> {
                    String::from_value(value)?.split(' ').map(<$type>::parse).collect()
                }
            }
        )+
    };
}

name_list_fields!(SettingsField, WebhookField);

/// Fields whose text is the stable name of a value.
macro_rules! named_fields {
    ($($type:ty: $shape:expr),+ $(,)?) => {
        $(
            impl EventField for $type {
                fn shape() -> EventFieldShape {
                    $shape.into()
                }

                fn to_value(&self) -> Option<EventValue> {
                    Some(EventValue::Text(self.as_str().to_owned()))
                }

                fn from_value(value: Option<&EventValue>) -> Option<Self> {
                    Self::parse(&String::from_value(value)?)
                }
            }
        )+
    };
}

/// Returns the type of a value that is one of these.
macro_rules! one_of {
    ($type:ty) => {
        EventFieldType::OneOf(<$type>::ALL.into_iter().map(<$type>::as_str).collect())
    };
}

named_fields!(
    Desired: one_of!(Desired),
    DisabledReason: one_of!(DisabledReason),
    FailureReason: one_of!(FailureReason),
    KeyId: EventFieldType::Text,
    LinkId: EventFieldType::Text,
    LogoutOutcome: one_of!(LogoutOutcome),
    MessageDirection: one_of!(MessageDirection),
    MessageKind: one_of!(MessageKind),
    MessageSource: one_of!(MessageSource),
    MessageStatus: one_of!(MessageStatus),
    OutboxId: EventFieldType::Text,
    ReasonCode: one_of!(ReasonCode),
    RequestedAction: one_of!(RequestedAction),
    RevocationCause: one_of!(RevocationCause),
    Status: one_of!(Status),
    WaMessageId: EventFieldType::Text,
    WebhookId: EventFieldType::Text,
);
