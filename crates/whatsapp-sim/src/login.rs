//! A device comes back with its key: let in, told why not, or taking the place of its older
//! connection.

use crate::account::Line;
use crate::clock;
use crate::keys::Key;
use crate::kick;
use crate::network::Network;
use crate::registration;
use crate::socket::Socket;
use crate::stanza;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::ClientPayload;

/// A logged-in device, as its connection knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) number: String,
    pub(crate) device: u32,
}

/// Lets a device in, or dismisses the connection.
pub(crate) fn admit(
    network: &Network,
    socket: &Socket,
    noise: &Key,
    payload: &ClientPayload,
) -> Option<Seat> {
    let mut world = network.world();
    let seat = world.device_by_noise(noise).map(|(number, device)| Seat { number, device });
    let seat = seat.filter(|seat| {
        payload.username.is_some_and(|user| user.to_string() == seat.number)
            && payload.device.unwrap_or(0) == seat.device
    });
    let Some(seat) = seat else {
        socket.dismiss(unknown_device());
        return None;
    };
    let account = world.accounts.get_mut(&seat.number)?;
    let lid = account.lid_jid(seat.device);
    let device = account.devices.get_mut(&seat.device)?;
    let version = registration::version(payload);
    if let Some(failure) = kick::judge(&mut device.refusal, version) {
        drop(world);
        network.changed();
        socket.dismiss(failure);
        return None;
    }
    device.version = version;
    let line = Line { socket: socket.clone(), active: false };
    if let Some(old) = device.line.replace(line) {
        old.socket.dismiss(stanza::replaced());
    }
    // Under the lock: whatever else is said to this device comes after it.
    socket.say(success(&lid));
    drop(world);
    network.changed();
    Some(seat)
}

fn unknown_device() -> Node {
    NodeBuilder::new("failure").attr("reason", "401").attr("location", stanza::LOCATION).build()
}

fn success(lid: &str) -> Node {
    NodeBuilder::new("success")
        .attr("t", clock::seconds())
        .attr("props", "27")
        .attr("location", stanza::LOCATION)
        .attr("lid", lid)
        .build()
}

/// The connection is over: the client waits no more, the device is away.
pub(crate) fn leave(network: &Network, socket: &Socket, seat: Option<&Seat>) {
    let mut world = network.world();
    world.candidates.remove(&socket.id);
    if let Some(seat) = seat
        && let Ok(device) = world.device(&seat.number, seat.device)
    {
        device.line.take_if(|line| line.socket.id == socket.id);
    }
    drop(world);
    network.changed();
}
