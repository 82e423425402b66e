//! TLS whose every choice follows from a seed, for simulated endpoints. Nothing is secret: whoever listens can read all.
//!
//! A peer that has been started anew may take what was meant for its last process for the first packet of a handshake.
//! It finds garbage, and what garbage looks like decides what is done with it. So bytes have to be equal in two runs of
//! a seed, too, and not their number alone.

use std::cell::Cell;
use std::sync::Arc;

use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret,
    SupportedKxGroup, ring,
};
use rustls::{Error, NamedGroup, PeerMisbehaved};

use crate::simulated::Seeded;

thread_local! {
    // rustls wants what draws to live for ever, while a simulation has one thread, and begins with a seed.
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// TLS that draws from this seed on, as does whatever else of this thread's is simulated.
pub(crate) fn provider(seed: u64) -> Arc<CryptoProvider> {
    DRAWN.set(seed);
    let (kx_groups, secure_random) = (vec![&Open as _], &Drawn as _);
    Arc::new(CryptoProvider { kx_groups, secure_random, ..ring::default_provider() })
}

/// Bytes that are drawn as TLS draws.
pub(crate) fn drawn<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    draw(&mut bytes);
    bytes
}

fn draw(bytes: &mut [u8]) {
    let mut seeded = Seeded(DRAWN.get());
    bytes.fill_with(|| seeded.next() as u8);
    DRAWN.set(seeded.0);
}

#[derive(Debug)]
struct Drawn;

impl SecureRandom for Drawn {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        draw(bytes);
        Ok(())
    }
}

/// Agrees on what both have drawn, in the open, in the form of X25519.
#[derive(Debug)]
struct Open;

struct Started([u8; 32]);

impl SupportedKxGroup for Open {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(Started(drawn())))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for Started {
    fn complete(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, Error> {
        if theirs.len() != self.0.len() {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        let both: Vec<u8> = self.0.iter().zip(theirs).map(|(ours, theirs)| ours ^ theirs).collect();
        Ok(SharedSecret::from(&both[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.0
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}
