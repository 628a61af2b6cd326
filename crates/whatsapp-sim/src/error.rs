//! What a person at a simulated phone can be told: one type, so that library and control interface
//! say the same.

/// Why a phone could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PhoneError {
    /// The number is not 7 to 15 digits.
    #[error("a phone number has 7 to 15 digits and nothing else")]
    BadNumber,
    /// The name is longer than WhatsApp lets a push name be, or empty.
    #[error("a name has 1 to 100 characters")]
    BadName,
    /// No phone has this number.
    #[error("no phone has this number")]
    NoSuchPhone,
    /// The phone has no linked device of this id.
    #[error("the phone has no such linked device")]
    NoSuchDevice,
    /// There is a phone of this number with another name.
    #[error("a phone with this number and another name exists")]
    PhoneExists,
    /// The simulator holds as many phones as it may.
    #[error("the simulator holds as many phones as it may")]
    TooManyPhones,
    /// The phone has linked as many devices as it may.
    #[error("the phone has linked as many devices as it may")]
    TooManyDevices,
    /// The text is not a linking QR.
    #[error("not a linking QR: {0}")]
    BadQr(&'static str),
    /// The QR was never shown by a client that is still there, or its time is over.
    #[error("the QR has expired, or nobody here shows it")]
    QrExpired,
    /// The QR carries a reference of one connection and the keys of another.
    #[error("the QR carries another client's key")]
    QrMismatch,
    /// The client is being linked by another scan or code at this moment.
    #[error("the client is being linked already")]
    LinkInProgress,
    /// The code is not eight letters or digits, with or without a dash.
    #[error("a pairing code has eight letters or digits, with or without a dash in the middle")]
    BadCode,
    /// No client has asked for a pairing code for this number, or its time is over.
    #[error("no client waits for a pairing code of this number")]
    NoPendingCode,
    /// The client that waits for a code was given another one.
    #[error("the code is wrong")]
    WrongCode,
    /// The client answered the linking with an error of its own.
    #[error("the client refused to be linked ({0})")]
    Refused(String),
    /// The client did not answer in time, or hung up.
    #[error("the client hung up, or did not answer in time")]
    ClientTimeout,
    /// The device is not connected, and the kick means nothing to one that is not.
    #[error("the device is not connected")]
    NotConnected,
    /// The simulator is at fault.
    #[error("the simulator failed: {0}")]
    Internal(String),
}

impl PhoneError {
    /// A stable word for programs.
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
            Self::Internal(_) => "broken",
        }
    }

    /// The HTTP status the control interface answers with.
    pub fn status(&self) -> u16 {
        match self {
            Self::BadNumber | Self::BadName | Self::BadQr(_) | Self::BadCode => 400,
            Self::NoSuchPhone | Self::NoSuchDevice => 404,
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
            | Self::NotConnected => 409,
            Self::Internal(_) => 500,
        }
    }
}

/// Why a simulator could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is not on loopback.
    #[error("{0} is not a loopback address: the simulator never leaves the machine")]
    NotLoopback(std::net::SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}")]
    Listen(std::net::SocketAddr, #[source] std::io::Error),
    /// The state file cannot be read or written.
    #[error("cannot use the state file {0}: {1}")]
    State(std::path::PathBuf, String),
    /// A key could not be made.
    #[error("cannot make the keys: {0}")]
    Keys(String),
}
