//! The staged and meta tables: a row for each path or name, its value as it came.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use millpond_core::limits::PATH_BYTES_MAX;
use millpond_core::{Namespace, Path};
use redb::{ReadOnlyTable, Table};

use super::error::failed;
use super::keys::{NAMESPACE_BYTES, corrupt, path_key, stored_path, write_path_key};
use super::sealed::{self, TableName};
use crate::store::{MetaKey, StoreError};

pub(super) fn unstage(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    namespaces: &BTreeSet<Namespace>,
) -> Result<(), StoreError> {
    for namespace in namespaces {
        let first = namespace.number().to_be_bytes();
        let next = namespace.number().checked_add(1).map(u32::to_be_bytes);
        let end = next.as_ref().map_or(Bound::Unbounded, |next| Bound::Excluded(&next[..]));
        table
            .retain_in::<&[u8], _>((Bound::Included(&first[..]), end), |_, _| false)
            .map_err(failed)?;
    }
    Ok(())
}

pub(super) fn write_staged(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    staged: &BTreeMap<(Namespace, Path), Option<Bytes>>,
) -> Result<(), StoreError> {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for ((namespace, path), row) in staged {
        write_path_key(&mut key, *namespace, path.as_bytes());
        write(table, TableName::Staged, &key, row.as_deref(), &mut value)?;
    }
    Ok(())
}

pub(super) fn write_meta(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    meta: &BTreeMap<MetaKey, Option<Bytes>>,
) -> Result<(), StoreError> {
    let mut value = Vec::new();
    for (MetaKey(name), content) in meta {
        write(table, TableName::Meta, name.as_bytes(), content.as_deref(), &mut value)?;
    }
    Ok(())
}

pub(super) fn read(
    table: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    name: TableName,
    key: &[u8],
) -> Result<Option<Bytes>, StoreError> {
    let Some(value) = table.get(key).map_err(failed)? else { return Ok(None) };
    open(name, key, value.value()).map(Some)
}

pub(super) fn scan_staged(
    table: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    namespace: Namespace,
    after: Option<&Path>,
    visit: &mut dyn FnMut(Path, Bytes) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let after = path_key(namespace, after.map_or(&[], Path::as_bytes));
    let beyond = (Bound::Excluded(&after[..]), Bound::Unbounded);
    for row in table.range::<&[u8]>(beyond).map_err(failed)? {
        let (key, value) = row.map_err(failed)?;
        let key = key.value();
        let Some(path) = key.strip_prefix(&after[..NAMESPACE_BYTES]) else { break };
        let path = stored_path(TableName::Staged, key, path)?;
        if visit(path, open(TableName::Staged, key, value.value())?).is_break() {
            break;
        }
    }
    Ok(())
}

pub(super) fn scan_staged_back(
    table: &ReadOnlyTable<&'static [u8], &'static [u8]>,
    namespace: Namespace,
    below: Option<&[u8]>,
    visit: &mut dyn FnMut(Path, Bytes) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let first = path_key(namespace, &[]);
    let end = match (below, namespace.number().checked_add(1)) {
        (Some(below), _) => path_key(namespace, below),
        (None, Some(next)) => next.to_be_bytes().to_vec(),
        // Longer than any key of the last namespace.
        (None, None) => vec![u8::MAX; NAMESPACE_BYTES + PATH_BYTES_MAX + 1],
    };
    let rows = table.range::<&[u8]>(&first[..]..&end[..]).map_err(failed)?;
    for row in rows.rev() {
        let (key, value) = row.map_err(failed)?;
        let key = key.value();
        let path = stored_path(TableName::Staged, key, &key[NAMESPACE_BYTES..])?;
        if visit(path, open(TableName::Staged, key, value.value())?).is_break() {
            break;
        }
    }
    Ok(())
}

fn open(table: TableName, key: &[u8], value: &[u8]) -> Result<Bytes, StoreError> {
    let body = sealed::open(table, key, value).ok_or_else(|| corrupt(table, key))?;
    Ok(Bytes::copy_from_slice(body))
}

fn write(
    table: &mut Table<'_, &'static [u8], &'static [u8]>,
    name: TableName,
    key: &[u8],
    content: Option<&[u8]>,
    value: &mut Vec<u8>,
) -> Result<(), StoreError> {
    match content {
        Some(content) => {
            sealed::start(value);
            value.extend_from_slice(content);
            sealed::seal(name, key, value);
            table.insert(key, &value[..]).map(drop).map_err(failed)
        }
        None => table.remove(key).map(drop).map_err(failed),
    }
}
