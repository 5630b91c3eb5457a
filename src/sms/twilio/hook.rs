//! Twilio's webhooks: a text that came in, and what became of one of ours; as a form, or as JSON.

use std::collections::BTreeMap;

use reqwest::header::CONTENT_TYPE;

use super::{Twilio, gateway_id, refusal, status};
use crate::conversation::keywords::Keyword;
use crate::model::{MessageStatus, PhoneNumber, Private};
use crate::sms::gateway::{Hook, HookError, HookEvent, HookRequest, InboundText, StatusReport};
use crate::sms::signature::{self, Keys, Payload};

/// More fields than any webhook has.
const MOST_FIELDS: usize = 200;
/// Twilio's bound on pictures in a message.
const MOST_MEDIA: usize = 10;

impl Twilio {
    /// Reads a webhook: signature first, then its meaning.
    pub fn hook(&self, request: &HookRequest<'_>) -> Result<HookEvent, HookError> {
        let keys = Keys {
            auth_token: self.settings.auth_token.expose(),
            shared: self.settings.webhook_key.as_ref().map(|key| key.expose().as_str()),
        };
        let proven = |payload| signature::verify(keys, request.url, request.headers, payload);
        let fields = if media_type(request).eq_ignore_ascii_case("application/json") {
            proven(Payload::Json(request.body))?;
            json_fields(request.body)?
        } else {
            let fields = form_fields(request)?;
            proven(Payload::Form(&fields))?;
            fields
        };
        read_hook(request.hook, &fields)
    }
}

fn media_type<'a>(request: &HookRequest<'a>) -> &'a str {
    let media_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.split(';').next().unwrap_or_default().trim()
}

/// The fields of a JSON webhook: those of the form, in one object. What is neither text nor number is left out.
fn json_fields(body: &[u8]) -> Result<Vec<(String, String)>, HookError> {
    let fields: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(body).map_err(|_| HookError::Malformed("its body is not a JSON object"))?;
    let text = |value| match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    Ok(fields.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect())
}

/// The fields of a form webhook, at most [`MOST_FIELDS`].
pub(in crate::sms) fn form_fields(request: &HookRequest<'_>) -> Result<Vec<(String, String)>, HookError> {
    if !media_type(request).eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(HookError::MediaType);
    }
    let mut fields: Vec<_> = form_urlencoded::parse(request.body).into_owned().take(MOST_FIELDS + 1).collect();
    if fields.len() > MOST_FIELDS {
        return Err(HookError::Malformed("it has more than 200 fields"));
    }
    fields.shrink_to_fit();
    Ok(fields)
}

/// What the fields of a webhook say, its origin proven.
pub(in crate::sms) fn read_hook(hook: Hook, fields: &[(String, String)]) -> Result<HookEvent, HookError> {
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let id = field("MessageSid").or_else(|| field("SmsSid")).and_then(gateway_id);
    let gateway_id = id.ok_or(HookError::Malformed("MessageSid is missing or malformed"))?;
    match hook {
        Hook::Inbound => {
            let number = |name, error| {
                field(name).and_then(|text| PhoneNumber::e164(text).ok()).ok_or(HookError::Malformed(error))
            };
            let from = number("From", "From is not a phone number in E.164")?;
            let to = number("To", "To is not a phone number in E.164")?;
            let media = field("NumMedia").and_then(|n| n.parse().ok()).unwrap_or(0).min(MOST_MEDIA);
            let media = (0..media).filter_map(|n| field(&format!("MediaUrl{n}")));
            Ok(HookEvent::Inbound(InboundText {
                gateway_id,
                from,
                to,
                body: Private::new(field("Body").unwrap_or_default().to_owned()),
                media: media.map(|url| Private::new(url.to_owned())).collect(),
                // Sent with Advanced Opt-Out alone, which answers the patient itself.
                answered: field("OptOutType").and_then(|kind| match kind {
                    "STOP" => Some(Keyword::Stop),
                    "START" => Some(Keyword::Start),
                    "HELP" => Some(Keyword::Help),
                    _ => None,
                }),
            }))
        }
        Hook::Status => {
            let name = field("MessageStatus").or_else(|| field("SmsStatus"));
            let name = name.ok_or(HookError::Malformed("MessageStatus is missing"))?;
            let Some(status) = status(name) else { return Ok(HookEvent::Nothing) };
            let failed = matches!(status, MessageStatus::Failed | MessageStatus::Undelivered);
            let code = field("ErrorCode").and_then(|code| code.parse().ok()).unwrap_or(30008);
            Ok(HookEvent::Status(StatusReport { gateway_id, status, refusal: failed.then(|| refusal(code)) }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = "SM00000000000000000000000000000001";

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_inbound_text_keeps_its_words_and_pictures() {
        let inbound = fields(&[
            ("MessageSid", SID),
            ("From", "+12125550142"),
            ("To", "+12125550100"),
            ("Body", "Can I come at 3? 🙂"),
            ("NumMedia", "99"),
            ("MediaUrl0", "https://media.example/1"),
        ]);
        let Ok(HookEvent::Inbound(text)) = read_hook(Hook::Inbound, &inbound) else { panic!() };
        assert_eq!(text.body.expose(), "Can I come at 3? 🙂");
        assert_eq!(text.media.len(), 1);
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for pairs in [
            &[("From", "+12125550142"), ("To", "+12125550100")][..],
            &[("MessageSid", "a b"), ("From", "+12125550142"), ("To", "+12125550100")],
            &[("MessageSid", SID), ("From", "12345"), ("To", "+12125550100")],
            &[("MessageSid", SID), ("From", "+12125550142")],
        ] {
            assert!(matches!(read_hook(Hook::Inbound, &fields(pairs)), Err(HookError::Malformed(_))), "{pairs:?}");
        }
        assert!(read_hook(Hook::Status, &fields(&[("MessageSid", SID)])).is_err());
    }

    #[test]
    fn a_status_says_why_only_when_it_failed() {
        let report = |status: &str, code: &str| {
            read_hook(Hook::Status, &fields(&[("MessageSid", SID), ("MessageStatus", status), ("ErrorCode", code)]))
        };
        let Ok(HookEvent::Status(delivered)) = report("delivered", "30003") else { panic!() };
        assert_eq!((delivered.status, delivered.refusal), (MessageStatus::Delivered, None));
        let Ok(HookEvent::Status(failed)) = report("undelivered", "30003") else { panic!() };
        assert_eq!(failed.refusal, Some(refusal(30003)));
        assert_eq!(report("partially_delivered", ""), Ok(HookEvent::Nothing));
    }
}
