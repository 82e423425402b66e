//! What the application asks, handed to whom it concerns.

use super::engine::Engine;
use super::{Answer, Request, RequestId};

impl Engine {
    pub(super) fn request(&mut self, id: RequestId, request: Request) {
        match request {
            Request::Write(closure) => self.write(id, closure, None),
            Request::WriteWith { closure, min_connected, wanted } => {
                self.write_with(id, closure, min_connected, wanted);
            }
            Request::Await { dot, wanted } => self.await_acks(id, dot, None, wanted),
            Request::AwaitShown { vv, timeout_ms } => self.await_shown(id, vv, timeout_ms),
            Request::Writers(incarnations) => {
                let writers = self.writers_of(&incarnations);
                self.answer(id, Answer::Writers(writers));
            }
            Request::EndWaits => {
                self.end_waits();
                self.answer(id, Answer::Done);
            }
            Request::Status { links, store_bytes, warnings } => {
                let status = self.status(&links, store_bytes, warnings);
                self.answer(id, Answer::Status(Box::new(status)));
            }
            Request::Invite { options, secret } => self.invite(id, options, secret),
            Request::Invites => self.list_invites(id),
            Request::Decide { who, is_approved } => self.decide(id, &who, is_approved),
            Request::RevokeInvite(text) => self.revoke_invite(id, &text),
            Request::Join(invite) => self.join_domain(id, invite),
            Request::Pause(peer) => {
                self.pause(peer);
                self.answer(id, Answer::Done);
            }
            Request::Resume(peer) => {
                self.resume(peer);
                self.answer(id, Answer::Done);
            }
            Request::Delay(order) => self.order_delay(id, order),
            Request::Promote(primary) => self.promote(id, primary),
            Request::Remove(member) => self.remove(id, member),
            Request::Rotate { succession, overlap_ms } => self.rotate(id, succession, overlap_ms),
            Request::Revoke(key) => self.revoke(id, key),
            Request::Survey => self.ask_survey(id),
            Request::Verify { peers, is_deep } => self.ask_verify(id, peers, is_deep),
            Request::Refresh { peer, is_dry: true } => self.plan_refresh(id, peer),
            Request::Refresh { peer, is_dry: false } => self.ask_refresh(id, peer),
            Request::AcceptLoss(within) => self.accept_loss(id, within.as_ref()),
            Request::Release => self.release(id),
            Request::SetTopology(topology) => {
                self.set_topology(topology);
                self.answer(id, Answer::Done);
            }
        }
    }
}
