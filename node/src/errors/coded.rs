//! Which variant of which error has which code.
//!
//! The matches are exhaustive, so a variant without a code does not compile; nor does a code without a page.

use super::ErrorCode;

/// Gives an error `code`, `hint` and `is_retryable`.
macro_rules! coded {
    ($error:ty, $code:expr) => {
        impl $error {
            /// What it is called; stable.
            pub fn code(&self) -> ErrorCode {
                let code: fn(&Self) -> ErrorCode = $code;
                code(self)
            }

            /// What to do about it.
            pub fn hint(&self) -> &'static str {
                self.code().hint()
            }

            /// Whether the same call may succeed later without anybody changing it.
            pub fn is_retryable(&self) -> bool {
                self.code().is_retryable()
            }
        }
    };
}

/// The code of this number. Without a page it does not compile.
pub(crate) fn code<const NUMBER: u16>() -> ErrorCode {
    const { ErrorCode::new(NUMBER) }
}

coded!(crate::ParseErrorCodeError, |_| code::<1009>());

coded!(crate::CommitsEnded, |_| code::<1>());

coded!(crate::OpenError, |error| match error {
    Self::NotInitialised { .. } => code::<101>(),
    Self::AlreadyInitialised { .. } => code::<102>(),
    Self::StoreMissing { .. } => code::<103>(),
    Self::MixedFolder { .. } => code::<104>(),
    Self::CopyRuns { .. } => code::<105>(),
    Self::Region { .. } => code::<106>(),
    Self::Key { .. } => code::<107>(),
    Self::Io { .. } => code::<108>(),
    Self::Topology(error) => error.code(),
    Self::Listen(error) => error.code(),
    Self::Store(error) => error.code(),
});

coded!(crate::ListenError, |_| code::<110>());

coded!(crate::TopologyError, |error| match error {
    Self::Fanout { .. } => code::<121>(),
    Self::FanoutWithoutTree { .. } => code::<122>(),
    Self::NoLinks { .. } => code::<123>(),
    Self::Peer { .. } => code::<124>(),
    Self::Twice { .. } => code::<125>(),
});

#[cfg(feature = "http")]
coded!(crate::http::HttpError, |error| match error {
    Self::Listen { .. } => code::<131>(),
    Self::File { .. } => code::<132>(),
});

coded!(crate::ParseInviteError, |error| match error {
    Self::Prefix { .. } => code::<201>(),
    Self::Checksum { .. } => code::<202>(),
});

coded!(crate::InviteError, |error| match error {
    Self::NotAdmin { .. } => code::<3>(),
    Self::Uses { .. } => code::<207>(),
    Self::TooMany { .. } => code::<208>(),
    Self::NoInvite { .. } => code::<209>(),
    Self::NobodyWaits { .. } => code::<211>(),
    Self::Store { .. } => code::<4>(),
    Self::Closed { .. } => code::<1>(),
});

coded!(crate::JoinError, |error| match error {
    Self::OtherDomain { .. } => code::<203>(),
    Self::AlreadyMember { .. } => code::<204>(),
    Self::Refused { .. } => code::<205>(),
    Self::NotNow { .. } => code::<210>(),
    Self::NotRecorded { .. } => code::<4>(),
    Self::Closed { .. } => code::<1>(),
});

coded!(crate::ParseRoleError, |_| code::<206>());

coded!(crate::RemoveError, |error| match error {
    Self::NotAdmin { .. } => code::<3>(),
    Self::NoMember { .. } => code::<2>(),
    Self::LastAdmin { .. } => code::<212>(),
    Self::NotRecorded { .. } => code::<4>(),
    Self::Closed { .. } => code::<1>(),
});

coded!(crate::ParseCertificateError, |error| match error {
    Self::Prefix { .. } => code::<255>(),
    Self::Checksum { .. } => code::<256>(),
});

coded!(crate::RotateError, |error| match error {
    Self::NotMember { .. } => code::<251>(),
    Self::NoKey { .. } => code::<252>(),
    Self::NotRecorded { .. } => code::<4>(),
    Self::Closed { .. } => code::<1>(),
});

coded!(crate::RevokeError, |error| match error {
    Self::NotAdmin { .. } => code::<3>(),
    Self::NoKey { .. } => code::<253>(),
    Self::Newest { .. } => code::<254>(),
    Self::NotRecorded { .. } => code::<4>(),
    Self::Closed { .. } => code::<1>(),
});

coded!(crate::PromoteError, |error| match error {
    Self::NotAdmin { .. } => code::<3>(),
    Self::NoMember { .. } => code::<2>(),
    Self::MayNotWrite { .. } => code::<221>(),
    Self::NotRecorded { .. } => code::<4>(),
    Self::Closed { .. } => code::<1>(),
});

coded!(crate::DelayError, |error| match error {
    Self::NotDelayed { .. } => code::<231>(),
    Self::Past { .. } => code::<232>(),
    Self::Future { .. } => code::<233>(),
    Self::NotRecorded { .. } => code::<4>(),
    Self::Closed { .. } => code::<1>(),
});

coded!(crate::ReleaseError, |error| match error {
    Self::NotFenced { .. } => code::<241>(),
    Self::Store { .. } => code::<4>(),
    Self::Closed { .. } => code::<1>(),
});

coded!(crate::store::StoreError, |error| match error {
    Self::InUse { .. } => code::<301>(),
    Self::Full { .. } => code::<302>(),
    Self::Corrupt { .. } => code::<303>(),
    Self::Lost { .. } => code::<304>(),
    Self::Format { .. } => code::<305>(),
    Self::Io { .. } => code::<306>(),
    Self::Poisoned { .. } => code::<307>(),
});

coded!(crate::WriteError, |error| match error {
    Self::ValueTooLarge { .. } => code::<401>(),
    Self::TransactionTooLarge { .. } => code::<402>(),
    Self::TooManySiblings { .. } => code::<403>(),
    Self::Path { .. } => code::<404>(),
    Self::Counter { .. } => code::<405>(),
    Self::Rejected { .. } => code::<406>(),
    Self::Nested { .. } => code::<407>(),
    Self::Fenced { .. } => code::<408>(),
    Self::ReadOnly { .. } => code::<409>(),
    Self::Delayed { .. } => code::<410>(),
    Self::TooFewConnected { .. } => code::<411>(),
    Self::NotPrimary { .. } => code::<412>(),
    Self::Behind { .. } => code::<413>(),
    Self::Clock { .. } => code::<414>(),
    Self::Closed { .. } => code::<415>(),
    Self::Store(error) => error.code(),
});

coded!(crate::ConcernNotMet, |_| code::<421>());

coded!(crate::ParseConcernError, |_| code::<422>());

coded!(crate::ParseLevelError, |_| code::<423>());

coded!(crate::records::IdError, |error| match error {
    Self::Collection { .. } => code::<501>(),
    Self::Key { .. } => code::<502>(),
    Self::Field { .. } => code::<503>(),
    Self::NoKey { .. } => code::<504>(),
    Self::Path { .. } => code::<505>(),
});

coded!(crate::records::RecordError, |error| match error {
    Self::IsCounter { .. } => code::<511>(),
    Self::IsTyped { .. } => code::<512>(),
    Self::IsPlain { .. } => code::<513>(),
    Self::Unreadable { .. } => code::<514>(),
    Self::Unwritable { .. } => code::<515>(),
    Self::Absent { .. } => code::<516>(),
    Self::Changed { .. } => code::<517>(),
    Self::NotIndexed { .. } => code::<518>(),
    Self::Id(error) => error.code(),
    Self::Write(error) => error.code(),
    Self::Store(error) => error.code(),
});

coded!(crate::records::JsonError, |_| code::<521>());

coded!(crate::records::ParseVersionError, |_| code::<522>());

coded!(crate::AtLeastError, |error| match error {
    Self::Behind { .. } => code::<601>(),
    Self::Closed { .. } => code::<1>(),
    Self::Store(error) => error.code(),
});

coded!(crate::SyncError, |error| match error {
    Self::NoMember { .. } => code::<2>(),
    Self::Closed { .. } => code::<1>(),
});

coded!(crate::ParseBookmarkError, |_| code::<602>());

coded!(crate::records::ParseTokenError, |_| code::<603>());

coded!(crate::status::RefreshError, |error| match error {
    Self::NotLinked { .. } => code::<611>(),
    Self::Refused { .. } => code::<612>(),
    Self::Closed { .. } => code::<1>(),
});

coded!(crate::ResolveError, |error| match error {
    Self::Changed { .. } => code::<701>(),
    Self::NoCandidate { .. } => code::<702>(),
    Self::NothingToUndo { .. } => code::<703>(),
    Self::Record(error) => error.code(),
});

#[cfg(feature = "backup")]
coded!(crate::backup::BackupError, |error| match error {
    Self::NotJoined { .. } => code::<801>(),
    Self::Exists { .. } => code::<802>(),
    Self::Full { .. } => code::<803>(),
    Self::Io { .. } => code::<804>(),
    Self::NotBackup { .. } => code::<805>(),
    Self::Format { .. } => code::<806>(),
    Self::Damaged { .. } => code::<807>(),
    Self::NoKey { .. } => code::<808>(),
    Self::OtherDomain { .. } => code::<809>(),
    Self::Stopped { .. } => code::<810>(),
    Self::Folder(error) => error.code(),
    Self::Store(error) => error.code(),
});
