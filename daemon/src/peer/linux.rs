//! `/proc/self/net/tcp` and `tcp6`: one row for each end of each connection (proc_pid_net(5)).
//!
//! The hard part is what looks like an answer and is none. A socket that its process has closed goes
//! on in the table as the superuser's; it has no inode then, and is in a state of leaving.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    net::{IpAddr, SocketAddr},
};

use sso_agent_os::user::User;

/// IPv4 sockets, and those of IPv6, which may talk IPv4 too.
const TABLES: [&str; 2] = ["/proc/self/net/tcp", "/proc/self/net/tcp6"];

/// The kernel prints the table piece by piece; a row may slip through while others come and go.
const LOOKS: usize = 3;

/// Nothing in these tables is longer.
const LONGEST_ROW: u64 = 512;

/// See [`super::owner_of`].
pub(super) fn owner_of(local: SocketAddr, peer: SocketAddr) -> io::Result<Option<User>> {
    for _ in 0..LOOKS {
        for table in TABLES {
            let found = match File::open(table) {
                Ok(file) => find(BufReader::with_capacity(64 * 1024, file), peer, local)?,
                // A kernel without IPv6 has no such table.
                Err(error) if error.kind() == io::ErrorKind::NotFound && table == TABLES[1] => None,
                Err(error) => return Err(error),
            };
            if found.is_some() {
                return Ok(found.map(User::numbered));
            }
        }
    }
    Ok(None)
}

/// The user of the socket that is bound to `own` and connected to `other`.
fn find(mut table: impl BufRead, own: SocketAddr, other: SocketAddr) -> io::Result<Option<u32>> {
    let (own, other) = (canonical(own), canonical(other));
    let mut line = Vec::new();
    loop {
        line.clear();
        if io::Read::take(&mut table, LONGEST_ROW).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let row = std::str::from_utf8(&line).ok().and_then(Row::read);
        if let Some(row) = row.filter(|row| row.lives && (row.own, row.other) == (own, other)) {
            return Ok(Some(row.uid));
        }
    }
}

/// One end of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    own: (IpAddr, u16),
    other: (IpAddr, u16),
    /// A process has it, and it can still send or be sent something.
    lives: bool,
    uid: u32,
}

impl Row {
    /// `None` for the heading, and for whatever else is no row.
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        fields.next()?.strip_suffix(':')?;
        let (own, other) = (address(fields.next()?)?, address(fields.next()?)?);
        // ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT.
        let connected = matches!(fields.next()?, "01" | "04" | "05" | "08");
        let uid = fields.nth(3)?.parse().ok()?;
        let inode: u64 = fields.nth(1)?.parse().ok()?;
        Some(Self { own, other, lives: connected && inode != 0, uid })
    }
}

/// Words of the address as this machine keeps them, each in hexadecimal, and the port.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (words, port) = text.split_once(':')?;
    let word = |at: usize| {
        let digits = words.get(8 * at..8 * at + 8).filter(|digits| digits.bytes().all(is_digit))?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let address = match words.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let mut bytes = [0; 16];
            for (at, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(at)?);
            }
            IpAddr::from(bytes)
        }
        _ => return None,
    };
    let port = Some(port).filter(|port| port.len() == 4 && port.bytes().all(is_digit))?;
    Some((address.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

fn is_digit(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

/// IPv4 in IPv6's clothes is IPv4.
fn canonical(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the kernel prints them: the two ends of one connection, one that listens, one that left.
    const IPV4: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 41 1 0 100 0 0 10 0
   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 42 1 0 20 4 30 10 -1
   2: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 43 1 0 20 4 30 10 -1
   3: 0100007F:9C41 0100007F:1F90 06 00000000:00000000 03:00000F2C 00000000     0        0 0 3 0
   4: 0100007F:9C42 0100007F:1F90 05 00000000:00000000 00:00000000 00000000     0        0 0 1 0
";
    const IPV6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:9C40 0000000000000000FFFF00000100007F:1F90 01 00000000:00000000 00:00000000 00000000  1002        0 44 1 0 20 4 30 10 -1
   1: 00000000000000000000000001000000:9C40 00000000000000000000000001000000:1F90 01 00000000:00000000 00:00000000 00000000  1003        0 45 1 0 20 4 30 10 -1
";

    fn owner(table: &str, own: &str, other: &str) -> Option<u32> {
        find(table.as_bytes(), own.parse().unwrap(), other.parse().unwrap()).unwrap()
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_peers_own_row_counts_and_no_other() {
        assert_eq!(owner(IPV4, "127.0.0.1:40000", "127.0.0.1:8080"), Some(1001));
        assert_eq!(owner(IPV4, "127.0.0.1:8080", "127.0.0.1:40000"), Some(1000));
        assert_eq!(owner(IPV4, "127.0.0.1:40009", "127.0.0.1:8080"), None);
        assert_eq!(owner(IPV4, "127.0.0.2:40000", "127.0.0.1:8080"), None);
        assert_eq!(owner(IPV4, "127.0.0.1:8080", "0.0.0.0:0"), None, "who listens is connected to nobody");
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_socket_that_was_closed_is_nobodys() {
        assert_eq!(owner(IPV4, "127.0.0.1:40001", "127.0.0.1:8080"), None);
        assert_eq!(owner(IPV4, "127.0.0.1:40002", "127.0.0.1:8080"), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn ipv4_over_an_ipv6_socket_is_ipv4() {
        assert_eq!(owner(IPV6, "127.0.0.1:40000", "127.0.0.1:8080"), Some(1002));
        assert_eq!(owner(IPV6, "[::ffff:127.0.0.1]:40000", "[::ffff:127.0.0.1]:8080"), Some(1002));
        assert_eq!(owner(IPV6, "[::1]:40000", "[::1]:8080"), Some(1003));
    }

    fn printed(address: SocketAddr) -> String {
        let words: String = match address.ip() {
            IpAddr::V4(ip) => format!("{:08X}", u32::from_ne_bytes(ip.octets())),
            IpAddr::V6(ip) => {
                let word = |four: &[u8]| format!("{:08X}", u32::from_ne_bytes(four.try_into().unwrap()));
                ip.octets().chunks_exact(4).map(word).collect()
            }
        };
        format!("{words}:{:04X}", address.port())
    }

    proptest! {
        #[test]
        fn what_the_kernel_would_print_is_read_back(own: SocketAddr, other: SocketAddr, uid: u32, inode in 1_u64..) {
            let line = format!(
                "  12: {} {} 01 00000000:00000000 00:00000000 00000000 {uid:5}        0 {inode} 1 0 20 4 30 10 -1\n",
                printed(own), printed(other),
            );
            prop_assert_eq!(find(line.as_bytes(), own, other).unwrap(), Some(uid));
            let row = Row::read(&line).unwrap();
            prop_assert_eq!((row.own, row.other), (canonical(own), canonical(other)));
        }

        #[test]
        fn any_bytes_are_no_owner_or_one(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let here = "127.0.0.1:1".parse().unwrap();
            prop_assert_eq!(find(bytes.as_slice(), here, here).unwrap(), None);
        }

        #[test]
        fn nearly_a_row_is_a_row_or_none(line in "[ 0-9]{0,4}:? [0-9A-Fé]{0,34}:[0-9A-F]{0,5} [0-9A-F]{8}:[0-9A-F]{4} [0-9A-F]{2} [0-9 :x]{0,60}") {
            let _ = Row::read(&line);
        }
    }
}
