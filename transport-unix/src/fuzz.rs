//! Any bytes as what the other side of a handshake says, and the words of a session after it: for the fuzzer, and for
//! the test that replays its corpus.
//!
//! No fuzzer signs what it has not seen, so a script says where a right key, nonce or signature goes. What comes of it
//! is judged: nobody is taken for the holder of a key who has not signed with it.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use millpond_core::NodeKey;
use ring::signature::{Ed25519KeyPair, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::handshake::{self, HandshakeError, Kind};
use crate::session::fuzz_words;

/// The first byte says which side is tried, the rest is a script for the other one.
pub fn fuzz_unix(data: &[u8]) {
    let Some((&side, script)) = data.split_first() else { return };
    match side % 3 {
        0 => accepts(script),
        1 => dials(script),
        _ => fuzz_words(script),
    }
}

/// We accept; the other side is the script.
fn accepts(script: &[u8]) {
    let (ours, theirs) = (pair(1), pair(2));
    let (mut here, mut there) = duplex(BUFFER_BYTES);
    let accepting = async {
        if handshake::started(&mut here).await? != Kind::Session {
            return Err(HandshakeError::Foreign);
        }
        handshake::accept(&mut here, &ours).await
    };
    let has_signed = Cell::new(false);
    let playing = play(&mut there, &theirs, DIALER, script, &has_signed);
    if let Some(Ok(key)) = both(accepting, playing) {
        assert!(has_signed.get(), "{} has not signed", key.short());
        assert_eq!(key, key_of(&theirs));
    }
}

/// We dial; the other side is the script.
fn dials(script: &[u8]) {
    let (ours, theirs) = (pair(1), pair(2));
    let (mut here, mut there) = duplex(BUFFER_BYTES);
    let dialing = async {
        handshake::start(&mut here, Kind::Session).await?;
        handshake::dial(&mut here, &ours, key_of(&theirs)).await
    };
    let has_signed = Cell::new(false);
    let playing = play(&mut there, &theirs, ACCEPTOR, script, &has_signed);
    if let Some(Ok(_)) = both(dialing, playing) {
        assert!(has_signed.get(), "nobody has signed");
    }
}

/// Says what the script says, and hangs up; notes when it has given a right signature.
///
/// ```text
/// script = step*
/// step   = 0..=247: this byte | 248 our key and a nonce | 249 a right signature of all that was said and heard
///        | 250 start of a session | 251 version 1
/// ```
async fn play(
    stream: &mut DuplexStream,
    pair: &Ed25519KeyPair,
    context: &[u8; 24],
    script: &[u8],
    has_signed: &Cell<bool>,
) {
    let mut said = Vec::new();
    let is_dialer = context == DIALER;
    for &step in script {
        let bytes = match step {
            248 => {
                said = [pair.public_key().as_ref(), &[9; 32]].concat();
                said.clone()
            }
            249 => {
                let mut heard = [0; START_BYTES + 64];
                // Before it the dialler has said how it starts, and the acceptor its version.
                let skipped = if is_dialer { 1 } else { START_BYTES };
                if stream.read_exact(&mut heard[..skipped + 64]).await.is_err() {
                    return;
                }
                let heard = &heard[skipped..skipped + 64];
                let both = if is_dialer { [&said[..], heard] } else { [heard, &said[..]] };
                has_signed.set(has_signed.get() || said.len() == 64);
                pair.sign(&[&context[..], &both.concat()].concat()).as_ref().to_vec()
            }
            250 => b"millpond\x01\0".to_vec(),
            251 => vec![1],
            byte => vec![byte],
        };
        if stream.write_all(&bytes).await.is_err() {
            return;
        }
    }
    let _ = stream.shutdown().await;
}

/// Runs two sides that only wait for each other, until neither goes on: what became of the first.
fn both<A>(a: impl Future<Output = A>, b: impl Future<Output = ()>) -> Option<A> {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut of_a, mut b_has_ended) = (None, false);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..TURNS_MAX {
        if of_a.is_none()
            && let Poll::Ready(output) = a.as_mut().poll(&mut context)
        {
            of_a = Some(output);
        }
        b_has_ended = b_has_ended || b.as_mut().poll(&mut context).is_ready();
    }
    of_a
}

/// The key pair of a number.
fn pair(number: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[number; 32]).expect("32 bytes are a secret")
}

fn key_of(pair: &Ed25519KeyPair) -> NodeKey {
    NodeKey::from_bytes(pair.public_key().as_ref().try_into().expect("a key has 32 bytes"))
}

const DIALER: &[u8; 24] = b"millpond unix 1 dialler.";
const ACCEPTOR: &[u8; 24] = b"millpond unix 1 acceptor";
/// What a dialler starts with.
const START_BYTES: usize = 10;
const BUFFER_BYTES: usize = 4_096;
/// A handshake takes four.
const TURNS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole handshakes, and such that end early, of both sides; and words.
    fn seeds() -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        let dialer = [0, 250, 248, 249];
        let acceptor = [1, 251, 248, 249];
        for cut in 1..=4 {
            seeds.extend([dialer[..cut].to_vec(), acceptor[..cut].to_vec()]);
        }
        seeds.push([&acceptor[..], &[7; 16]].concat()); // with a ticket
        seeds.push([&[0, 250][..], &[3; 128]].concat());
        seeds.push([&[1, 251][..], &[3; 144]].concat());
        seeds.push(b"\0millpond\x02\0".to_vec());
        seeds.push(b"\0millpond\x01\x07".to_vec());
        seeds.push(vec![2, 0, 1, 0, 1]);
        seeds.push([&[2, 2, 7, 0, 0, 0, 2, 0][..], b"ok"].concat());
        seeds.push(vec![2, 2, 7, 0, 0, 0, 1, 1]);
        seeds
    }

    #[test]
    fn a_script_can_finish_a_handshake() {
        let (ours, theirs) = (pair(1), pair(2));
        let (mut here, mut there) = duplex(BUFFER_BYTES);
        let accepting = async {
            handshake::started(&mut here).await?;
            handshake::accept(&mut here, &ours).await
        };
        let has_signed = Cell::new(false);
        let playing = play(&mut there, &theirs, DIALER, &[250, 248, 249], &has_signed);
        let accepted = both(accepting, playing);
        assert_eq!(accepted.unwrap().unwrap(), key_of(&theirs));
        let (mut here, mut there) = duplex(BUFFER_BYTES);
        let dialing = async {
            handshake::start(&mut here, Kind::Session).await?;
            handshake::dial(&mut here, &ours, key_of(&theirs)).await
        };
        let script = [&[251, 248, 249][..], &[7; 16]].concat();
        let playing = play(&mut there, &theirs, ACCEPTOR, &script, &has_signed);
        let dialed = both(dialing, playing);
        assert_eq!(dialed.unwrap().unwrap(), [7; 16]);
    }

    /// `MILLPOND_WRITE_SEEDS=1` writes the seeds anew. A find of the fuzzer is added by hand.
    #[test]
    fn the_fuzzer_s_seeds_pass() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/unix");
        let seeds = seeds();
        for (index, seed) in seeds.iter().enumerate() {
            fuzz_unix(seed);
            if std::env::var_os("MILLPOND_WRITE_SEEDS").is_some() {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(folder.join(format!("seed-{index:02}")), seed).unwrap();
            }
        }
        let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert!(files.len() >= seeds.len());
        for file in files {
            fuzz_unix(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}
