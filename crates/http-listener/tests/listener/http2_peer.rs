//! An HTTP/2 peer of bare frames, which may break every rule (RFC 9113, 4.1).

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
const END_STREAM_AND_HEADERS: u8 = 0x5;
const ACK: u8 = 0x1;
const INITIAL_WINDOW_SIZE: u16 = 4;
const CANCEL: u32 = 8;

pub(crate) struct Http2Peer(TcpStream);

impl Http2Peer {
    /// Connects. Streams have this many bytes of window.
    pub(crate) async fn connect(address: SocketAddr, window: u32) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut settings = INITIAL_WINDOW_SIZE.to_be_bytes().to_vec();
        settings.extend(window.to_be_bytes());
        let mut peer = Self(stream);
        assert!(peer.send(&frame(SETTINGS, 0, 0, &settings)).await);
        assert!(peer.send(&frame(SETTINGS, ACK, 0, &[])).await);
        peer
    }

    /// Sends a GET request; `false` when the server has closed the connection.
    pub(crate) async fn get(&mut self, stream: u32, path: &str) -> bool {
        self.send(&get(stream, path)).await
    }

    /// Sends a GET request and resets its stream.
    pub(crate) async fn get_and_reset(&mut self, stream: u32, path: &str) -> bool {
        let reset = frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
        self.send(&[get(stream, path), reset].concat()).await
    }

    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }

    /// Returns the type of each frame until the server closes the connection.
    pub(crate) async fn frame_types(&mut self) -> Vec<u8> {
        let (mut kinds, mut head) = (Vec::new(), [0; 9]);
        while self.0.read_exact(&mut head).await.is_ok() {
            kinds.push(head[3]);
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            if self.0.read_exact(&mut payload).await.is_err() {
                break;
            }
        }
        kinds
    }
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    // Indexed `:method GET` and `:scheme http`; literal `:path` and `:authority` (RFC 7541, 6).
    let mut fields = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    fields.extend(path.bytes());
    fields.extend([0x01, 1, b'x']);
    frame(HEADERS, END_STREAM_AND_HEADERS, stream, &fields)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}
