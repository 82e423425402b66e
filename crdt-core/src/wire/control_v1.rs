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
use super::tables::Tables;
use super::vector::{put_relative, put_vector, read_relative, read_vector};
use crate::limits::{ADDRESSES_MAX, NAMESPACES_MAX, TEXT_BYTES_MAX, VECTOR_ENTRIES_MAX};
use crate::message::{Hello, HelloNamespace, Protocol, Pull, Resume};
use crate::{Boot, Closed, Domain, Incarnation, Namespace, NodeKey, Path, VersionVector};

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

/// The entries of a vector back to back ([`super::vector`]), behind their length in bytes. In the versions of
/// messages whose vectors are relative the form comes first, and what is listed is what differs.
#[derive(Serialize, Deserialize)]
pub(super) struct VectorV1<'a>(#[serde(borrow, with = "serde_bytes")] Cow<'a, [u8]>);

/// A text of at most [`TEXT_BYTES_MAX`] bytes.
#[derive(Serialize)]
pub(super) struct Text<'a>(pub(super) &'a str);

/// A list of at most `MAX` elements.
#[derive(Serialize)]
pub(super) struct List<T, const MAX: usize>(pub(super) Vec<T>);

impl<'a> HelloV1<'a> {
    pub(super) fn new(hello: &'a Hello, closed: Option<&Closed>) -> Self {
        Self {
            oldest: hello.protocol.oldest,
            newest: hello.protocol.newest,
            features: hello.features,
            domain: *hello.domain.as_bytes(),
            name: Text(&hello.name),
            addresses: hello.addresses.iter().map(|address| Text(address)).collect(),
            boot: (hello.boot.counter, hello.boot.random),
            incarnations: hello.incarnations.iter().map(|id| *id.as_bytes()).collect(),
            namespaces: hello
                .namespaces
                .iter()
                .map(|it| HelloNamespaceV1::new(it, closed))
                .collect(),
            invite: hello.invite,
        }
    }

    pub(super) fn read(self, tables: Option<Tables<'_>>) -> Result<Hello, DecodeError> {
        let hello = self;
        let namespaces = hello.namespaces.0.into_iter().map(|it| it.read(tables));
        Ok(Hello {
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

impl HelloNamespaceV1<'_> {
    fn new(held: &HelloNamespace, closed: Option<&Closed>) -> Self {
        Self {
            namespace: held.namespace.number(),
            durable: VectorV1::new(&held.durable, closed),
            floor: VectorV1::new(&held.floor, closed),
        }
    }

    fn read(self, tables: Option<Tables<'_>>) -> Result<HelloNamespace, DecodeError> {
        Ok(HelloNamespace {
            namespace: Namespace::from_number(self.namespace),
            durable: self.durable.read(tables)?,
            floor: self.floor.read(tables)?,
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

impl<'a> PullV1<'a> {
    pub(super) fn new(pull: &'a Pull, closed: Option<&Closed>) -> Self {
        Self {
            namespace: pull.namespace.number(),
            transfer: pull.transfer,
            from: VectorV1::new(&pull.from, closed),
            resume: pull.resume.as_ref().map(|resume| ResumeV1::new(resume, closed)),
        }
    }

    pub(super) fn read(self, tables: Option<Tables<'_>>) -> Result<Pull, DecodeError> {
        Ok(Pull {
            namespace: Namespace::from_number(self.namespace),
            transfer: self.transfer,
            from: self.from.read(tables)?,
            resume: self.resume.map(|resume| resume.read(tables)).transpose()?,
        })
    }
}

impl<'a> ResumeV1<'a> {
    pub(super) fn new(resume: &'a Resume, closed: Option<&Closed>) -> Self {
        Self { upto: VectorV1::new(&resume.upto, closed), cursor: resume.cursor.as_bytes() }
    }

    pub(super) fn read(self, tables: Option<Tables<'_>>) -> Result<Resume, DecodeError> {
        let cursor = Bytes::copy_from_slice(self.cursor);
        let cursor = Path::from_encoded(cursor).map_err(DecodeError::Path)?;
        Ok(Resume { upto: self.upto.read(tables)?, cursor })
    }
}

impl VectorV1<'_> {
    /// Plain, or in the form that may be relative to a table.
    pub(super) fn new(vector: &VersionVector, closed: Option<&Closed>) -> Self {
        let mut bytes = Vec::new();
        match closed {
            Some(closed) => put_relative(&mut bytes, vector, closed),
            None => put_vector(&mut bytes, vector),
        }
        Self(Cow::Owned(bytes))
    }

    /// The vector: plain, or, where tables are given, in the form that may be relative to one.
    pub(super) fn read(self, tables: Option<Tables<'_>>) -> Result<VersionVector, DecodeError> {
        match tables {
            Some(tables) => Ok(read_relative(&self.0, tables)?.vector),
            None => read_vector(&self.0),
        }
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
