//! A stream that is waited for no longer than is said.

use std::{io, time::Duration};

use interprocess::local_socket::Stream;

use crate::wire::Line;

/// See the module.
#[derive(Debug)]
pub(crate) struct Patient(system::Patient);

impl Patient {
    pub(crate) fn new(stream: Stream) -> Self {
        Self(system::Patient::new(stream))
    }

    /// Writes all of it.
    pub(crate) fn send(&mut self, line: &[u8], patience: Option<Duration>) -> io::Result<()> {
        self.0.send(line, patience)
    }

    /// What comes next, nothing at the end; at most as much as the buffer holds, which is wiped.
    pub(crate) fn receive(&mut self, patience: Option<Duration>) -> io::Result<Line> {
        self.0.receive(patience)
    }
}

/// As much as is read at once.
const CHUNK: usize = 4096;

fn chunk(mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<Line> {
    let mut chunk = Line::new(vec![0; CHUNK]);
    let length = read(&mut chunk)?;
    chunk.truncate(length);
    Ok(chunk)
}

/// Sockets have timeouts.
#[cfg(unix)]
mod system {
    use std::io::{Read as _, Write as _};

    use interprocess::local_socket::traits::Stream as _;

    use super::{Duration, Line, Stream, chunk, io};

    #[derive(Debug)]
    pub(super) struct Patient(Stream);

    impl Patient {
        pub(super) fn new(stream: Stream) -> Self {
            Self(stream)
        }

        pub(super) fn send(&mut self, line: &[u8], patience: Option<Duration>) -> io::Result<()> {
            self.0.set_send_timeout(patience)?;
            self.0.write_all(line)
        }

        pub(super) fn receive(&mut self, patience: Option<Duration>) -> io::Result<Line> {
            self.0.set_recv_timeout(patience)?;
            chunk(|room| self.0.read(room))
        }
    }
}

/// Pipes have none, so another thread waits. One that waits in vain ends with the agent or with this process, and
/// nothing else can be done with its pipe until then.
#[cfg(windows)]
mod system {
    use std::{
        io::{Read as _, Write as _},
        sync::{Arc, mpsc},
        thread,
    };

    use super::{Duration, Line, Stream, chunk, io};

    #[derive(Debug)]
    pub(super) struct Patient {
        stream: Arc<Stream>,
        /// Somebody waits in vain.
        over: bool,
    }

    impl Patient {
        pub(super) fn new(stream: Stream) -> Self {
            Self { stream: Arc::new(stream), over: false }
        }

        pub(super) fn send(&mut self, line: &[u8], patience: Option<Duration>) -> io::Result<()> {
            let line = Line::new(line.to_vec());
            self.within(patience, move |mut stream| stream.write_all(&line))
        }

        pub(super) fn receive(&mut self, patience: Option<Duration>) -> io::Result<Line> {
            let chunk = self.within(patience, |mut stream| chunk(|room| stream.read(room)))?;
            // An answer came, so the agent has read what it was sent. Otherwise a thread would see to that after the
            // pipe is closed, and hold up the end of the program.
            let Stream::NamedPipe(pipe) = &*self.stream;
            pipe.inner().assume_flushed();
            Ok(chunk)
        }

        fn within<T: Send + 'static>(
            &mut self,
            patience: Option<Duration>,
            work: impl FnOnce(&Stream) -> io::Result<T> + Send + 'static,
        ) -> io::Result<T> {
            if self.over {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let Some(patience) = patience else { return work(&self.stream) };
            let (tell, told) = mpsc::sync_channel(1);
            let stream = Arc::clone(&self.stream);
            thread::Builder::new().spawn(move || tell.send(work(&stream)))?;
            told.recv_timeout(patience).unwrap_or_else(|_| {
                self.over = true;
                Err(io::ErrorKind::TimedOut.into())
            })
        }
    }
}
