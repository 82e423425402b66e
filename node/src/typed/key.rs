//! Keys: what names records, elements of sets and entries of maps.

/// A value that names something: one text form, whose order is the value's.
///
/// Implemented for texts, and for integers and booleans. Implement it for a type of your own by its text form;
/// two values must not share one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no key",
    label = "cannot name a record, an element or an entry of a map",
    note = "keys are `String`, integers, `bool`, or a type of yours that implements `millpond::Key`"
)]
pub trait Key: Clone + Ord + Send + 'static {
    /// The text form.
    fn to_text(&self) -> String;
    /// The value of a text form; `None` when it is none.
    fn from_text(text: &str) -> Option<Self>;
}

impl Key for String {
    fn to_text(&self) -> String {
        self.clone()
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Key for bool {
    fn to_text(&self) -> String {
        self.to_string()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Unsigned integers: as many digits as the greatest one has, so that texts sort as numbers do.
macro_rules! unsigned_keys {
    ($($type:ty: $digits:literal),+) => {$(
        impl Key for $type {
            fn to_text(&self) -> String {
                format!("{:0width$}", self, width = $digits)
            }

            fn from_text(text: &str) -> Option<Self> {
                (text.len() == $digits).then(|| text.parse().ok()).flatten()
            }
        }
    )+};
}

/// Signed ones: as unsigned ones of the same order.
macro_rules! signed_keys {
    ($($type:ty: $unsigned:ty),+) => {$(
        impl Key for $type {
            fn to_text(&self) -> String {
                self.cast_unsigned().wrapping_add(<$type>::MIN.cast_unsigned()).to_text()
            }

            fn from_text(text: &str) -> Option<Self> {
                let shifted = <$unsigned>::from_text(text)?;
                Some(shifted.wrapping_sub(<$type>::MIN.cast_unsigned()).cast_signed())
            }
        }
    )+};
}

unsigned_keys!(u8: 3, u16: 5, u32: 10, u64: 20, u128: 39);
signed_keys!(i8: u8, i16: u16, i32: u32, i64: u64, i128: u128);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<K: Key + std::fmt::Debug>(a: K, b: K) {
        assert_eq!(K::from_text(&a.to_text()).as_ref(), Some(&a));
        assert_eq!(a.cmp(&b), a.to_text().cmp(&b.to_text()), "{a:?} {b:?}");
    }

    proptest! {
        #[test]
        fn texts_sort_as_keys_do_and_read_back(
            a in any::<(u8, u64, u128, i16, i64, i128, String, bool)>(),
            b in any::<(u8, u64, u128, i16, i64, i128, String, bool)>(),
        ) {
            check(a.0, b.0);
            check(a.1, b.1);
            check(a.2, b.2);
            check(a.3, b.3);
            check(a.4, b.4);
            check(a.5, b.5);
            check(a.6, b.6);
            check(a.7, b.7);
        }
    }
}
