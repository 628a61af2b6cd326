//! The errors of phones, shared by the library and the control interface, and the errors of the
//! start.

/// Why a phone could not perform an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PhoneError {
    /// The number is not 7 to 15 digits.
    #[error("a phone number must have 7 to 15 digits")]
    BadNumber,
    /// The name is empty or longer than 100 characters, WhatsApp's limit of push names.
    #[error("a name must have 1 to 100 characters")]
    BadName,
    /// No phone has this number.
    #[error("no phone has this number")]
    NoSuchPhone,
    /// The phone has no linked device with this id.
    #[error("the phone has no such linked device")]
    NoSuchDevice,
    /// A phone with this number has another name.
    #[error("a phone with this number and another name exists")]
    PhoneExists,
    /// The simulator has [`Config::max_phones`](crate::Config::max_phones) phones.
    #[error("the simulator has its maximum number of phones")]
    TooManyPhones,
    /// The phone has linked [`Config::max_devices`](crate::Config::max_devices) devices.
    #[error("the phone has its maximum number of linked devices")]
    TooManyDevices,
    /// The text is not a linking QR code; carries the cause.
    #[error("not a linking QR code: {0}")]
    BadQr(&'static str),
    /// No connected client shows this QR code, or the code has expired.
    #[error("the QR code has expired, or no connected client shows it")]
    QrExpired,
    /// The QR code has the reference of one connection and the keys of another.
    #[error("the QR code has the key of another client")]
    QrMismatch,
    /// Another scan or code is linking the client.
    #[error("another scan or code is linking the client")]
    LinkInProgress,
    /// The code is not eight letters or digits, with or without a dash.
    #[error(
        "a pairing code must have eight letters or digits, with or without a dash in the middle"
    )]
    BadCode,
    /// No client has requested a pairing code for this number, or the request has expired.
    #[error("no client waits for a pairing code for this number")]
    NoPendingCode,
    /// The waiting client shows another code.
    #[error("the pairing code is wrong")]
    WrongCode,
    /// The client refused the link; carries its error.
    #[error("the client refused the link ({0})")]
    Refused(String),
    /// The client did not answer in time, or disconnected.
    #[error("the client disconnected or did not answer in time")]
    ClientTimeout,
    /// The device is not connected, and the kick affects connected devices only.
    #[error("the device is not connected")]
    NotConnected,
    /// Another phone has this number or this spelling of a number.
    #[error("another phone has this number or this spelling of a number")]
    AliasTaken,
    /// Nobody has the address or the number.
    #[error("nobody has this address or number")]
    NoSuchContact,
    /// The phone shows no such message.
    #[error("the phone shows no such message")]
    NoSuchMessage,
    /// The phone has no connection.
    #[error("the phone has no connection")]
    PhoneOffline,
    /// The stanza is malformed; carries the cause.
    #[error("not a stanza: {0}")]
    BadStanza(String),
    /// The simulator failed; carries the cause.
    #[error("the simulator failed: {0}")]
    Internal(String),
}

impl PhoneError {
    /// Returns a stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadNumber => "bad_number",
            Self::BadName => "bad_name",
            Self::NoSuchPhone => "no_such_phone",
            Self::NoSuchDevice => "no_such_device",
            Self::PhoneExists => "phone_exists",
            Self::TooManyPhones => "too_many_phones",
            Self::TooManyDevices => "too_many_devices",
            Self::BadQr(_) => "bad_qr",
            Self::QrExpired => "qr_expired",
            Self::QrMismatch => "qr_mismatch",
            Self::LinkInProgress => "busy",
            Self::BadCode => "bad_code",
            Self::NoPendingCode => "no_pending_code",
            Self::WrongCode => "wrong_code",
            Self::Refused(_) => "refused_by_client",
            Self::ClientTimeout => "client_silent",
            Self::NotConnected => "not_connected",
            Self::AliasTaken => "alias_taken",
            Self::NoSuchContact => "no_such_contact",
            Self::NoSuchMessage => "no_such_message",
            Self::PhoneOffline => "phone_offline",
            Self::BadStanza(_) => "bad_stanza",
            Self::Internal(_) => "broken",
        }
    }

    /// Returns the HTTP status of the control interface.
    pub fn status(&self) -> u16 {
        match self {
            Self::BadNumber
            | Self::BadName
            | Self::BadQr(_)
            | Self::BadCode
            | Self::BadStanza(_) => 400,
            Self::NoSuchPhone | Self::NoSuchDevice | Self::NoSuchContact | Self::NoSuchMessage => {
                404
            }
            Self::PhoneExists
            | Self::TooManyPhones
            | Self::TooManyDevices
            | Self::QrExpired
            | Self::QrMismatch
            | Self::LinkInProgress
            | Self::NoPendingCode
            | Self::WrongCode
            | Self::Refused(_)
            | Self::ClientTimeout
            | Self::AliasTaken
            | Self::PhoneOffline
            | Self::NotConnected => 409,
            Self::Internal(_) => 500,
        }
    }
}

/// Why a simulator could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is not on loopback.
    #[error("{0} is not a loopback address; the simulator listens on loopback only")]
    NotLoopback(std::net::SocketAddr),
    /// The simulator cannot listen on the address.
    #[error("cannot listen on {0}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    /// The state file cannot be read or written.
    #[error("cannot use the state file {0}: {1}")]
    State(std::path::PathBuf, String),
    /// The keys cannot be generated.
    #[error("cannot generate the keys: {0}")]
    Keys(String),
}
