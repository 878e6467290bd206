//! The connections of peers, as their readers and writers use them.

use std::{
    io,
    task::{Context, Poll},
    time::Duration,
};

use super::{Accepted, Endpoint, Now, StreamId};
use crate::stack::Stack;

impl Endpoint {
    /// The next connection to be served.
    pub fn accept(&mut self) -> Option<Accepted> {
        self.accepted.pop_front()
    }

    pub(crate) fn has_arrivals(&self) -> bool {
        !self.accepted.is_empty()
    }

    /// Bytes read, 0 at the peer's end; pending until there are some.
    pub fn read(&mut self, id: StreamId, into: &mut [u8], context: &mut Context) -> Poll<io::Result<usize>> {
        let Some(stack) = self.stack(id) else { return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())) };
        let read = stack.read(id.connection, into, context);
        if read.is_ready() {
            // The peer may be told of a window that opened.
            self.wake(Duration::ZERO, id.peer);
        }
        read
    }

    /// Bytes taken into the connection's buffer; pending while it is full.
    pub fn write(&mut self, id: StreamId, bytes: &[u8], context: &mut Context) -> Poll<io::Result<usize>> {
        let Some(stack) = self.stack(id) else { return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())) };
        let written = stack.write(id.connection, bytes, context);
        if written.is_ready() {
            self.wake(Duration::ZERO, id.peer);
        }
        written
    }

    /// Ends the writing side once all is sent.
    pub fn shutdown(&mut self, id: StreamId) {
        if let Some(stack) = self.stack(id) {
            stack.close(id.connection);
            self.wake(Duration::ZERO, id.peer);
        }
    }

    /// Nobody reads or writes the stream any more.
    pub fn leave(&mut self, now: Now, id: StreamId) {
        if let Some(stack) = self.stack(id) {
            stack.leave(id.connection, now.elapsed);
            self.wake(Duration::ZERO, id.peer);
        }
    }

    fn stack(&mut self, id: StreamId) -> Option<&mut Stack> {
        self.members.get_mut(&id.peer)?.stack.as_mut()
    }
}
