//! The table of TCP connections, with the process of each.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    ptr,
};

use sso_agent_os::user::User;
use windows_sys::Win32::{
    Foundation::{ERROR_INSUFFICIENT_BUFFER, ERROR_SUCCESS},
    NetworkManagement::IpHelper::{GetExtendedTcpTable, TCP_TABLE_OWNER_PID_CONNECTIONS},
    Networking::WinSock::{AF_INET, AF_INET6},
};

/// A table that grows while it is asked for is asked for so often.
const TRIES: u32 = 8;

/// So many words has a row of each table.
const ROW_V4: usize = 6;
const ROW_V6: usize = 14;

pub(super) fn owner_of(local: SocketAddr, peer: SocketAddr) -> io::Result<Option<User>> {
    let pid = match (plain(peer), plain(local)) {
        (SocketAddr::V4(peer), SocketAddr::V4(local)) => find_v4(&table(AF_INET.into())?, peer, local),
        (SocketAddr::V6(peer), SocketAddr::V6(local)) => find_v6(&table(AF_INET6.into())?, peer, local),
        (SocketAddr::V4(_) | SocketAddr::V6(_), _) => None,
    };
    // 0 is what is closed and waits to be forgotten.
    pid.filter(|pid| *pid != 0).map(User::of_process).transpose()
}

/// An IPv4 address that is written as one of IPv6 is in the table of IPv4.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The rows of a table behind their number, as words.
#[expect(unsafe_code, reason = "no well-kept crate reads this table without compiling C")]
fn table(family: u32) -> io::Result<Vec<u32>> {
    let mut bytes = 0;
    for _ in 0..TRIES {
        let mut words = vec![0_u32; usize::try_from(bytes).unwrap_or_default().div_ceil(4)];
        let place = if words.is_empty() { ptr::null_mut() } else { words.as_mut_ptr().cast() };
        // SAFETY: there are at least `bytes` bytes at `place`, aligned as a table of words has to be.
        let error = unsafe {
            GetExtendedTcpTable(place, &raw mut bytes, 0, family, TCP_TABLE_OWNER_PID_CONNECTIONS, 0)
        };
        match error {
            ERROR_SUCCESS => return Ok(words),
            ERROR_INSUFFICIENT_BUFFER => {}
            other => return Err(io::Error::from_raw_os_error(other.cast_signed())),
        }
    }
    Err(io::Error::other("the table of connections grows all the time"))
}

fn rows(table: &[u32], width: usize) -> impl Iterator<Item = &[u32]> {
    let (number, rows) = table.split_first().map_or((0, &[][..]), |(number, rows)| (*number, rows));
    rows.chunks_exact(width).take(usize::try_from(number).unwrap_or_default())
}

/// State, our address and port, their address and port, process (`MIB_TCPROW_OWNER_PID`).
fn find_v4(table: &[u32], ours: SocketAddrV4, theirs: SocketAddrV4) -> Option<u32> {
    let end = |words: &[u32]| SocketAddrV4::new(u32::from_be(words[0]).into(), port(words[1]));
    rows(table, ROW_V4).find(|row| end(&row[1..3]) == ours && end(&row[3..5]) == theirs).map(|row| row[5])
}

/// Our address, scope and port, theirs, state, process (`MIB_TCP6ROW_OWNER_PID`).
fn find_v6(table: &[u32], ours: SocketAddrV6, theirs: SocketAddrV6) -> Option<u32> {
    let end = |words: &[u32]| (address(&words[..4]), port(words[5]));
    let of = |end: SocketAddrV6| (IpAddr::V6(*end.ip()), end.port());
    let is_it = |row: &&[u32]| end(&row[..6]) == of(ours) && end(&row[6..12]) == of(theirs);
    rows(table, ROW_V6).find(is_it).map(|row| row[13])
}

fn address(words: &[u32]) -> IpAddr {
    let mut bytes = [0; 16];
    for (four, word) in bytes.chunks_exact_mut(4).zip(words) {
        four.copy_from_slice(&word.to_ne_bytes());
    }
    Ipv6Addr::from(bytes).into()
}

/// In the lower half, in the order of the network.
fn port(word: u32) -> u16 {
    let [high, low, ..] = word.to_le_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_by_both_its_ends() {
        let word = |bytes: [u8; 4]| u32::from_ne_bytes(bytes);
        let row = [
            5,
            word([127, 0, 0, 1]),
            word([0x1f, 0x90, 0, 0]),
            word([127, 0, 0, 1]),
            word([0xc0, 0, 0, 0]),
            42,
        ];
        let table = [&[1][..], &row, &[0; 6]].concat();
        let [ours, theirs] = ["127.0.0.1:8080", "127.0.0.1:49152"].map(|end| end.parse().unwrap());
        assert_eq!(find_v4(&table, ours, theirs), Some(42));
        assert_eq!(find_v4(&table, theirs, ours), None);
        assert_eq!(find_v4(&[], ours, theirs), None);
        assert_eq!(find_v4(&[9], ours, theirs), None);
    }

    #[test]
    fn a_row_of_ipv6_is_found_as_well() {
        let one = [0, 0, 0, 1_u32.to_be()];
        let end = |port: u16| [&one[..], &[0, u32::from(port.to_be())]].concat();
        let table = [&[1][..], &end(8080), &end(49152), &[5, 42]].concat();
        let [ours, theirs] = ["[::1]:8080", "[::1]:49152"].map(|end| end.parse().unwrap());
        assert_eq!(find_v6(&table, ours, theirs), Some(42));
        assert_eq!(find_v6(&table, theirs, ours), None);
    }
}
