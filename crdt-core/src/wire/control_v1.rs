//! The bodies of control messages, version 1: frozen.
//!
//! Postcard does not describe itself, so a struct here never changes: what is new gets a `V2` beside it, a
//! new version of its kind, and a conversion. Every list knows its bound, and grows only with elements that
//! are there.

use alloc::borrow::{Cow, ToOwned};
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use bytes::Bytes;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::DecodeError;
use super::vector::{put_vector, read_vector};
use crate::limits::{ADDRESSES_MAX, NAMESPACES_MAX, TEXT_BYTES_MAX, VECTOR_ENTRIES_MAX};
use crate::message::{Hello, HelloNamespace, Protocol, Pull, Resume};
use crate::{Boot, Domain, Incarnation, Namespace, NodeKey, Path, VersionVector};

#[derive(Serialize, Deserialize)]
pub(super) struct HelloV1<'a> {
    oldest: u16,
    newest: u16,
    features: u64,
    domain: [u8; 16],
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    addresses: List<Text<'a>, ADDRESSES_MAX>,
    boot: (u64, u64),
    incarnations: List<[u8; 16], VECTOR_ENTRIES_MAX>,
    #[serde(borrow)]
    namespaces: List<HelloNamespaceV1<'a>, NAMESPACES_MAX>,
    invite: Option<[u8; 16]>,
}

#[derive(Serialize, Deserialize)]
struct HelloNamespaceV1<'a> {
    namespace: u32,
    #[serde(borrow)]
    durable: VectorV1<'a>,
    #[serde(borrow)]
    floor: VectorV1<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct IntroduceV1(List<([u8; 16], [u8; 32]), VECTOR_ENTRIES_MAX>);

#[derive(Serialize, Deserialize)]
pub(super) struct PullV1<'a> {
    namespace: u32,
    transfer: u64,
    #[serde(borrow)]
    from: VectorV1<'a>,
    #[serde(borrow)]
    resume: Option<ResumeV1<'a>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ResumeV1<'a> {
    #[serde(borrow)]
    upto: VectorV1<'a>,
    #[serde(with = "serde_bytes")]
    cursor: &'a [u8],
}

/// Transfer, upto, estimate of the rows, floor.
#[derive(Serialize, Deserialize)]
pub(super) struct PullStartV2<'a>(
    pub u64,
    #[serde(borrow)] pub VectorV1<'a>,
    pub u64,
    #[serde(borrow)] pub VectorV1<'a>,
);

/// Transfer, rows.
#[derive(Serialize, Deserialize)]
pub(super) struct PullEndV1(pub u64, pub u64);

/// Transfer, reason.
#[derive(Serialize, Deserialize)]
pub(super) struct PullRefusedV1(pub u64, pub u8);

/// Namespace, from.
#[derive(Serialize, Deserialize)]
pub(super) struct FeedV1<'a>(pub u32, #[serde(borrow)] pub VectorV1<'a>);

/// Namespace.
#[derive(Serialize, Deserialize)]
pub(super) struct BehindV1(pub u32);

/// Bytes of pushes, bytes of rows.
#[derive(Serialize, Deserialize)]
pub(super) struct CreditV1(pub u64, pub u64);

/// The entries of a vector back to back ([`super::vector`]), behind their length in bytes.
#[derive(Serialize, Deserialize)]
pub(super) struct VectorV1<'a>(#[serde(borrow, with = "serde_bytes")] Cow<'a, [u8]>);

/// A text of at most [`TEXT_BYTES_MAX`] bytes.
#[derive(Serialize)]
pub(super) struct Text<'a>(pub(super) &'a str);

/// A list of at most `MAX` elements.
#[derive(Serialize)]
pub(super) struct List<T, const MAX: usize>(pub(super) Vec<T>);

impl<'a> From<&'a Hello> for HelloV1<'a> {
    fn from(hello: &'a Hello) -> Self {
        Self {
            oldest: hello.protocol.oldest,
            newest: hello.protocol.newest,
            features: hello.features,
            domain: *hello.domain.as_bytes(),
            name: Text(&hello.name),
            addresses: hello.addresses.iter().map(|address| Text(address)).collect(),
            boot: (hello.boot.counter, hello.boot.random),
            incarnations: hello.incarnations.iter().map(|id| *id.as_bytes()).collect(),
            namespaces: hello.namespaces.iter().map(HelloNamespaceV1::from).collect(),
            invite: hello.invite,
        }
    }
}

impl TryFrom<HelloV1<'_>> for Hello {
    type Error = DecodeError;

    fn try_from(hello: HelloV1<'_>) -> Result<Self, DecodeError> {
        let namespaces = hello.namespaces.0.into_iter().map(HelloNamespace::try_from);
        Ok(Self {
            protocol: Protocol { oldest: hello.oldest, newest: hello.newest },
            features: hello.features,
            domain: Domain::from_bytes(hello.domain),
            name: hello.name.0.to_owned(),
            addresses: hello.addresses.0.into_iter().map(|text| text.0.to_owned()).collect(),
            boot: Boot { counter: hello.boot.0, random: hello.boot.1 },
            incarnations: hello.incarnations.0.into_iter().map(Incarnation::from_bytes).collect(),
            namespaces: namespaces.collect::<Result<_, _>>()?,
            invite: hello.invite,
        })
    }
}

impl From<&HelloNamespace> for HelloNamespaceV1<'_> {
    fn from(held: &HelloNamespace) -> Self {
        Self {
            namespace: held.namespace.number(),
            durable: VectorV1::from(&held.durable),
            floor: VectorV1::from(&held.floor),
        }
    }
}

impl TryFrom<HelloNamespaceV1<'_>> for HelloNamespace {
    type Error = DecodeError;

    fn try_from(held: HelloNamespaceV1<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            namespace: Namespace::from_number(held.namespace),
            durable: held.durable.try_into()?,
            floor: held.floor.try_into()?,
        })
    }
}

impl From<&[(Incarnation, NodeKey)]> for IntroduceV1 {
    fn from(incarnations: &[(Incarnation, NodeKey)]) -> Self {
        Self(incarnations.iter().map(|(id, key)| (*id.as_bytes(), *key.as_bytes())).collect())
    }
}

impl From<IntroduceV1> for Vec<(Incarnation, NodeKey)> {
    fn from(introduce: IntroduceV1) -> Self {
        let typed = |(id, key)| (Incarnation::from_bytes(id), NodeKey::from_bytes(key));
        introduce.0.0.into_iter().map(typed).collect()
    }
}

impl<'a> From<&'a Pull> for PullV1<'a> {
    fn from(pull: &'a Pull) -> Self {
        Self {
            namespace: pull.namespace.number(),
            transfer: pull.transfer,
            from: VectorV1::from(&pull.from),
            resume: pull.resume.as_ref().map(ResumeV1::from),
        }
    }
}

impl TryFrom<PullV1<'_>> for Pull {
    type Error = DecodeError;

    fn try_from(pull: PullV1<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            namespace: Namespace::from_number(pull.namespace),
            transfer: pull.transfer,
            from: pull.from.try_into()?,
            resume: pull.resume.map(Resume::try_from).transpose()?,
        })
    }
}

impl<'a> From<&'a Resume> for ResumeV1<'a> {
    fn from(resume: &'a Resume) -> Self {
        Self { upto: VectorV1::from(&resume.upto), cursor: resume.cursor.as_bytes() }
    }
}

impl TryFrom<ResumeV1<'_>> for Resume {
    type Error = DecodeError;

    fn try_from(resume: ResumeV1<'_>) -> Result<Self, DecodeError> {
        let cursor = Bytes::copy_from_slice(resume.cursor);
        let cursor = Path::from_encoded(cursor).map_err(DecodeError::Path)?;
        Ok(Self { upto: resume.upto.try_into()?, cursor })
    }
}

impl From<&VersionVector> for VectorV1<'_> {
    fn from(vector: &VersionVector) -> Self {
        let mut bytes = Vec::new();
        put_vector(&mut bytes, vector);
        Self(Cow::Owned(bytes))
    }
}

impl TryFrom<VectorV1<'_>> for VersionVector {
    type Error = DecodeError;

    fn try_from(vector: VectorV1<'_>) -> Result<Self, DecodeError> {
        read_vector(&vector.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(D::Error::custom("text too long"));
        }
        Ok(Self(text))
    }
}

impl<T, const MAX: usize> FromIterator<T> for List<T, MAX> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Self(elements.into_iter().collect())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for List<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
    type Value = List<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX} elements")
    }

    /// Reserves nothing for the announced length.
    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        if elements.size_hint().is_some_and(|count| count > MAX) {
            return Err(A::Error::custom("too many elements"));
        }
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(List(list))
    }
}
