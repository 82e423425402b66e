//! The application's side of the rig: writes, questions, answers.

use millpond_core::VersionVector;

use super::net::NodeId;
use super::world::{World, path, text};
use crate::replication::{Answer, Input, Request, RequestId, Wanted};
use crate::state::{WriteError, WriteTx};
use crate::status::{LinkCounters, Status};

impl World {
    pub(crate) fn ask(&mut self, id: NodeId, request: Request) -> RequestId {
        self.last_request += 1;
        let request_id = RequestId(self.last_request);
        self.input(id, Input::Request { id: request_id, request });
        request_id
    }

    /// Asks a node to run a transaction.
    pub(crate) fn write(
        &mut self,
        id: NodeId,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<(), WriteError> + Send + 'static,
    ) -> RequestId {
        self.ask(id, Request::Write(Box::new(closure)))
    }

    /// The same, and waits for others to hold it.
    pub(crate) fn write_for(
        &mut self,
        id: NodeId,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<(), WriteError> + Send + 'static,
        wanted: Wanted,
        min_connected: usize,
    ) -> RequestId {
        // It may be answered at once.
        self.sessions.waits(RequestId(self.last_request + 1), wanted.clone());
        let closure = Box::new(closure);
        self.ask(id, Request::WriteWith { closure, min_connected, wanted: Some(wanted) })
    }

    pub(crate) fn put(&mut self, id: NodeId, at: &str, value: &str) -> RequestId {
        let (at, payload) = (path(at), text(value));
        self.write(id, move |tx| tx.put(at, payload))
    }

    /// What a write came to, if it was answered.
    pub(crate) fn written(&self, id: RequestId) -> Option<Result<VersionVector, WriteError>> {
        match self.answers.get(&id)? {
            Answer::Written(Ok((_, vv))) => Some(Ok(vv.clone())),
            Answer::Written(Err(error)) => Some(Err(error.clone())),
            _ => None,
        }
    }

    pub(crate) fn status(&mut self, id: NodeId) -> Status {
        let request = Request::Status { links: Vec::new(), store_bytes: 0, warnings: Vec::new() };
        let request = self.ask(id, request);
        match self.answers.remove(&request) {
            Some(Answer::Status(status)) => *status,
            _ => panic!("a status is answered at once"),
        }
    }

    /// Sum of a counter over all links of a node.
    pub(crate) fn counted(&mut self, id: NodeId, counter: fn(&LinkCounters) -> u64) -> u64 {
        self.status(id).peers.iter().map(|peer| counter(&peer.counters)).sum()
    }
}
