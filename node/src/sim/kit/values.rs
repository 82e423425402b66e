//! Values of any type that serde can read: its implementation asks for what it needs, and is given that at random.

use serde::de::value::{Error, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::drawn::Drawn;
use crate::typed::Draw;

/// Gives a value what it asks for.
pub(super) struct Values<'d> {
    drawn: &'d mut Drawn,
    depth: usize,
}

impl<'d> Values<'d> {
    pub(super) fn new(drawn: &'d mut Drawn) -> Self {
        Self { drawn, depth: 0 }
    }

    fn below(&mut self, below: u64) -> u64 {
        self.drawn.below(below)
    }

    /// A whole number between two: small ones, and the ends.
    fn whole(&mut self, least: i128, greatest: i128) -> i128 {
        match self.below(8) {
            0 => least,
            1 => greatest,
            small => (small as i128 - 3).clamp(least, greatest),
        }
    }

    fn text(&mut self) -> &'static str {
        TEXTS[self.below(TEXTS.len() as u64) as usize]
    }

    /// How many elements something has; deep down none.
    fn count(&mut self) -> usize {
        if self.depth >= DEPTH { 0 } else { self.below(3) as usize }
    }

    /// What an element, a field or a variant holds.
    fn within(&mut self) -> Values<'_> {
        Values { depth: self.depth + 1, drawn: self.drawn }
    }

    fn elements<'v, V: Visitor<'v>>(mut self, count: usize, visitor: V) -> Result<V::Value, Error> {
        self.check_depth()?;
        visitor.visit_seq(Elements { of: &mut self, left: count })
    }

    fn fields<'v, V: Visitor<'v>>(
        mut self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.check_depth()?;
        visitor.visit_map(FieldsOf { of: &mut self, names: names.iter() })
    }

    /// A type that holds itself could go on for ever.
    fn check_depth(&self) -> Result<(), Error> {
        if self.depth > DEPTH_MAX { Err(Error::custom("too deep")) } else { Ok(()) }
    }
}

macro_rules! whole_numbers {
    ($($deserialize:ident $visit:ident $type:ty),+) => {$(
        fn $deserialize<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Error> {
            let whole = self.whole(<$type>::MIN as i128, <$type>::MAX as i128);
            visitor.$visit(whole as $type)
        }
    )+};
}

impl<'v> Deserializer<'v> for Values<'_> {
    type Error = Error;

    whole_numbers!(
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128, deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    );

    fn deserialize_u128<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_u128(self.whole(0, i128::MAX).unsigned_abs())
    }

    fn deserialize_any<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match self.below(5) {
            0 => visitor.visit_unit(),
            1 => self.deserialize_bool(visitor),
            2 => self.deserialize_i64(visitor),
            3 => self.deserialize_map(visitor),
            _ => self.deserialize_str(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.below(2) == 0)
    }

    fn deserialize_f32<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    /// Quarters: every form keeps them as they are.
    fn deserialize_f64<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(self.below(64) as f64 / 4.0 - 8.0)
    }

    fn deserialize_char<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_char(if self.below(2) == 0 { 'c' } else { 'ß' })
    }

    fn deserialize_str<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.text())
    }

    fn deserialize_string<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_bytes(self.text().as_bytes())
    }

    fn deserialize_byte_buf<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Error> {
        match self.count() {
            0 => visitor.visit_none(),
            _ => visitor.visit_some(self.within()),
        }
    }

    fn deserialize_unit<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'v>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'v>>(
        mut self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.check_depth()?;
        visitor.visit_newtype_struct(self.within())
    }

    fn deserialize_seq<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let count = self.count();
        self.elements(count, visitor)
    }

    fn deserialize_tuple<V: Visitor<'v>>(
        self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.elements(count, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'v>>(
        self,
        _: &'static str,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.elements(count, visitor)
    }

    fn deserialize_map<V: Visitor<'v>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let left = self.count();
        visitor.visit_map(Elements { of: &mut self, left })
    }

    fn deserialize_struct<V: Visitor<'v>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.fields(names, visitor)
    }

    fn deserialize_enum<V: Visitor<'v>>(
        mut self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.check_depth()?;
        if variants.is_empty() {
            return Err(Error::custom("there is no value of it"));
        }
        let variant = variants[self.below(variants.len() as u64) as usize];
        visitor.visit_enum(VariantOf { variant, of: self })
    }

    fn deserialize_identifier<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'v>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

/// So many elements, or entries of a map.
struct Elements<'a, 'd> {
    of: &'a mut Values<'d>,
    left: usize,
}

impl Elements<'_, '_> {
    fn next(&mut self) -> Option<Values<'_>> {
        self.left = self.left.checked_sub(1)?;
        Some(self.of.within())
    }
}

impl<'v> SeqAccess<'v> for Elements<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'v>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        self.next().map(|element| seed.deserialize(element)).transpose()
    }
}

impl<'v> MapAccess<'v> for Elements<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'v>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.next().map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'v>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.of.within())
    }
}

/// The fields of a struct.
struct FieldsOf<'a, 'd> {
    of: &'a mut Values<'d>,
    names: std::slice::Iter<'static, &'static str>,
}

impl<'v> MapAccess<'v> for FieldsOf<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'v>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let name = self.names.next();
        name.map(|name| seed.deserialize(StrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<T: DeserializeSeed<'v>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.of.within())
    }
}

/// A variant of an enum.
struct VariantOf<'d> {
    variant: &'static str,
    of: Values<'d>,
}

impl<'v, 'd> EnumAccess<'v> for VariantOf<'d> {
    type Error = Error;
    type Variant = Values<'d>;

    fn variant_seed<T: DeserializeSeed<'v>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Values<'d>), Error> {
        let name: StrDeserializer<'_, Error> = self.variant.into_deserializer();
        Ok((seed.deserialize(name)?, self.of))
    }
}

impl<'v> VariantAccess<'v> for Values<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'v>>(mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.within())
    }

    fn tuple_variant<V: Visitor<'v>>(self, count: usize, visitor: V) -> Result<V::Value, Error> {
        self.elements(count, visitor)
    }

    fn struct_variant<V: Visitor<'v>>(
        self,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.fields(names, visitor)
    }
}

/// Texts that have broken something somewhere.
const TEXTS: [&str; 8] = ["", "a", "b", "0", "a/b", "\"\\\n\u{0}", "Grüße", "𝄞"];
/// Below this nothing has elements.
const DEPTH: usize = 3;
/// Below this a value that cannot but go on is given up.
const DEPTH_MAX: usize = 12;
