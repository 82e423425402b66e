//! What is to be known of an error.

use std::fmt;

use super::ErrorCode;

/// What is to be known of an error: what `millpond explain E0412` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorPage {
    /// Its code.
    pub code: ErrorCode,
    /// What happened, in one line.
    pub title: &'static str,
    /// Why it happens, and what it left behind.
    pub why: &'static str,
    /// What to do, in one line.
    pub hint: &'static str,
    /// Whether the same call may succeed later without anybody changing it.
    pub is_retryable: bool,
}

impl ErrorPage {
    /// The page of an error that does not go away by itself.
    pub(super) const fn new(
        number: u16,
        title: &'static str,
        why: &'static str,
        hint: &'static str,
    ) -> Self {
        let code = ErrorCode::of_page(number);
        Self { code, title, why, hint, is_retryable: false }
    }

    /// The same call may succeed later.
    pub(super) const fn retryable(self) -> Self {
        Self { is_retryable: true, ..self }
    }

    /// Whether to try again, in words.
    pub fn retry_text(&self) -> &'static str {
        match self.is_retryable {
            true => "yes, the same call may succeed later",
            false => "no, the same call fails again until something is changed",
        }
    }
}

/// As the program prints it.
impl fmt::Display for ErrorPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n", self.code, self.title)?;
        writeln!(f, "why:       {}", wrapped(self.why))?;
        writeln!(f, "do:        {}", wrapped(self.hint))?;
        write!(f, "retryable: {}", self.retry_text())
    }
}

/// Words in lines, those after the first one set in.
fn wrapped(text: &str) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        if width > 0 && width + 1 + word.len() > WIDTH {
            lines += "\n           ";
            width = 0;
        } else if width > 0 {
            lines.push(' ');
            width += 1;
        }
        lines += word;
        width += word.len();
    }
    lines
}

/// Of a page's text: with what is before it, lines of a terminal of 100 columns.
const WIDTH: usize = 88;
