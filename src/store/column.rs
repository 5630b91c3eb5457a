//! How our types are written into columns and read back.

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Serialize};

use crate::model::{
    CallId, CallbackId, Caller, Digit, Language, MessageId, NewTextId, NoteId, PersonId, PhoneNumber, RecordingId,
    StaffName, ThreadId, VoicemailId,
};

/// A time, as microseconds since the epoch.
#[derive(Clone, Copy)]
pub(super) struct At(pub(super) Timestamp);

impl ToSql for At {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.as_microsecond().into())
    }
}

impl FromSql for At {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let micros = value.as_i64()?;
        Timestamp::from_microsecond(micros).map(At).map_err(|_| FromSqlError::OutOfRange(micros))
    }
}

/// An enum whose variants serde writes as a word, such as `outbound`.
pub(super) struct Word<T>(pub(super) T);

impl<T: Serialize> ToSql for Word<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match serde_json::to_value(&self.0) {
            Ok(serde_json::Value::String(word)) => Ok(word.into()),
            other => Err(rusqlite::Error::ToSqlConversionFailure(format!("not a word: {other:?}").into())),
        }
    }
}

impl<T: for<'de> Deserialize<'de>> FromSql for Word<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let word: StrDeserializer<'_, serde::de::value::Error> = value.as_str()?.into_deserializer();
        T::deserialize(word).map(Word).map_err(FromSqlError::other)
    }
}

/// A list, as JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        serde_json::to_string(&self.0)
            .map(Into::into)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl<T: for<'de> Deserialize<'de>> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Json).map_err(FromSqlError::other)
    }
}

macro_rules! id_column {
    ($($name:ident),*) => {$(
        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.to_string().into())
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(FromSqlError::other)
            }
        }
    )*};
}

id_column!(CallId, ThreadId, MessageId, NewTextId, NoteId, PersonId, VoicemailId, CallbackId, RecordingId);

impl ToSql for PhoneNumber {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for PhoneNumber {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        PhoneNumber::e164(value.as_str()?).map_err(FromSqlError::other)
    }
}

impl ToSql for StaffName {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for StaffName {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        StaffName::parse(value.as_str()?).map_err(FromSqlError::other)
    }
}

impl ToSql for Language {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Language {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Language::parse(value.as_str()?).map_err(FromSqlError::other)
    }
}

impl ToSql for Digit {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.to_string().into())
    }
}

impl FromSql for Digit {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let mut chars = value.as_str()?.chars();
        chars.next().and_then(Digit::from_char).filter(|_| chars.next().is_none()).ok_or(FromSqlError::InvalidType)
    }
}

/// A caller is written as [`Caller::as_str`] and read back by its look.
impl ToSql for Caller {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Caller {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        Ok(match PhoneNumber::e164(text) {
            Ok(number) => Caller::Number(number),
            Err(_) if text == "anonymous" => Caller::Anonymous,
            Err(_) => Caller::Other(text.to_owned().into()),
        })
    }
}
