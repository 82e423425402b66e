//! What an error is called.

use std::fmt;
use std::str::FromStr;

use super::page::ErrorPage;
use super::pages;

/// The code of an error, as `E0412`: what it is called in logs, in answers over HTTP, in docs/ERRORS.md and by
/// `millpond explain E0412`.
///
/// A code stands for one cause and is stable: it never gets another meaning, and is never given again. The first two
/// digits name the area: 00 any, 01 opening, 02 members, 03 the store, 04 writes, 05 records, 06 following others,
/// 07 conflicts, 08 backups, 09 requests over HTTP, 10 the program.
///
/// ```
/// use millpond::{ErrorCode, WriteError};
///
/// let error = WriteError::NotPrimary { primary: None, address: None };
/// assert_eq!(error.code().to_string(), "E0412");
/// assert!(!error.is_retryable());
/// println!("{error}; {}", error.hint());
///
/// let code: ErrorCode = "E0412".parse()?;
/// println!("{}", code.page());
/// # Ok::<(), millpond::ParseErrorCodeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(u16);

/// The text is no code of an error, or of one that this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the code of an error: E and four digits, of those that docs/ERRORS.md lists")]
pub struct ParseErrorCodeError;

impl ErrorCode {
    /// The code of this number.
    ///
    /// # Panics
    /// When compiled, if it has no page.
    pub(crate) const fn new(number: u16) -> Self {
        let code = Self(number);
        assert!(pages::find(code).is_some(), "a code without a page");
        code
    }

    /// For a page's own declaration.
    pub(super) const fn of_page(number: u16) -> Self {
        Self(number)
    }

    /// All codes of this version, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        pages::all().map(|page| page.code)
    }

    /// Its number: 412 for `E0412`.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// What is to be known of it.
    pub fn page(self) -> &'static ErrorPage {
        pages::find(self).expect("a code is made of a number that has a page")
    }

    /// What to do about it.
    pub fn hint(self) -> &'static str {
        self.page().hint
    }

    /// Whether the same call may succeed later without anybody changing it.
    pub fn is_retryable(self) -> bool {
        self.page().is_retryable
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{:04}", self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `E0412` or `e0412`.
impl FromStr for ErrorCode {
    type Err = ParseErrorCodeError;

    fn from_str(text: &str) -> Result<Self, ParseErrorCodeError> {
        let digits = text.strip_prefix(['E', 'e']).ok_or(ParseErrorCodeError)?;
        let is_number = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| is_number).ok_or(ParseErrorCodeError)?;
        let code = Self(number);
        pages::find(code).map(|_| code).ok_or(ParseErrorCodeError)
    }
}
