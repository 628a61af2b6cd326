//! Descriptions of the fields of event payloads, from which documents and schemas are made.

/// A field of the payload of a kind of event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFieldSpec {
    /// Name, as stored and sent.
    pub name: &'static str,
    /// Meaning of the field, in sentences.
    pub description: &'static str,
    /// Type and range of the values.
    pub shape: EventFieldShape,
}

/// The values that a field can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFieldShape {
    /// Type of the values.
    pub value: EventFieldType,
    /// Whether the value can be null.
    pub nullable: bool,
    /// Whether the field can be absent.
    pub optional: bool,
}

/// Type of the values of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventFieldType {
    /// Text.
    Text,
    /// A whole number, 0 or greater.
    Count,
    /// Unix milliseconds.
    Time,
    /// One of these names.
    OneOf(Vec<&'static str>),
    /// One or more of these names, each once, separated by spaces.
    SomeOf(Vec<&'static str>),
    /// True or false.
    Flag,
    /// A whole number between these, including them.
    Range(i64, i64),
    /// A list of texts.
    Texts,
    /// An object with these fields.
    Object(Vec<EventFieldSpec>),
}

impl From<EventFieldType> for EventFieldShape {
    fn from(value: EventFieldType) -> Self {
        Self { value, nullable: false, optional: false }
    }
}
