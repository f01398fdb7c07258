//! Points in time.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, SchemaFormat, Type, schema::Schema},
};

/// A point in time: milliseconds since the Unix epoch. In JSON an RFC 3339 string in UTC with three decimal places,
/// `2026-11-21T10:00:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub i64);

impl std::fmt::Display for Instant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What RFC 3339 cannot write is before the year 0 or after 9999: the nearest that it can.
        let bounded = self.0.clamp(-62_167_219_200_000, 253_402_207_200_999);
        let at = jiff::Timestamp::from_millisecond(bounded).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{at:.3}")
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let at: jiff::Timestamp = text.parse().map_err(|_| D::Error::custom("not an RFC 3339 instant"))?;
        Ok(Instant(at.as_millisecond()))
    }
}

impl PartialSchema for Instant {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some("RFC 3339, UTC, with milliseconds"))
            .examples(["2026-11-21T10:00:00.000Z"])
            .into()
    }
}

impl ToSchema for Instant {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_rfc_3339_with_milliseconds() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1, "1970-01-01T00:00:00.001Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_795_255_200_000, "2026-11-21T10:00:00.000Z"),
            (951_782_400_120, "2000-02-29T00:00:00.120Z"),
        ] {
            assert_eq!(serde_json::to_value(Instant(millis)).unwrap(), text);
            assert_eq!(serde_json::from_value::<Instant>(text.into()).unwrap(), Instant(millis));
        }
        for extreme in [i64::MIN, i64::MAX] {
            let text = Instant(extreme).to_string();
            assert_eq!(text.len(), 24, "{text}");
        }
    }
}
