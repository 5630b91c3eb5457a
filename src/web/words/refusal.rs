//! Why a text did not arrive, in the reader's language. The gateways' reasons are kept in English, in which IT staff
//! look them up; what is not known here is shown so, and said to be English.

use maud::{Markup, html};

use super::Ui;

/// A reason as it is kept, for a reader of `ui`.
pub fn reason(ui: Ui, kept: &str) -> Markup {
    if ui == Ui::En {
        return html! { (kept) };
    }
    let (plain, code) = match kept.strip_suffix(')').and_then(|kept| kept.rsplit_once(" (")) {
        Some((plain, code)) if code.bytes().all(|byte| byte.is_ascii_digit()) => (plain, Some(code)),
        _ => (kept, None),
    };
    html! {
        @match spanish(plain) {
            Some(spanish) => { (spanish) @if let Some(code) = code { " (" (code) ")" } },
            None => span lang="en" { (kept) },
        }
    }
}

fn spanish(english: &str) -> Option<&'static str> {
    Some(match english {
        "the number does not exist; check it with the patient" => "el número no existe; compruébelo con el paciente",
        "the account may not text that country; allow it under Messaging, Geo permissions, at Twilio" => {
            "la cuenta no puede escribir a ese país; permítalo en Twilio, en Messaging, Geo permissions"
        }
        "the clinic's number cannot send texts from this account; check sms.from at Twilio" => {
            "el número de la clínica no puede enviar mensajes desde esta cuenta; revise sms.from en Twilio"
        }
        "the patient has opted out at the carrier; only their own START lifts it" => {
            "el paciente se dio de baja en su operador; solo su propio START lo anula"
        }
        "the patient has opted out; only their own START lifts it" => {
            "el paciente se dio de baja; solo su propio START lo anula"
        }
        "this number cannot be reached from the clinic's number; call the patient" => {
            "desde el número de la clínica no se llega a este número; llame al paciente"
        }
        "the number is a landline or cannot take texts; ask the patient for a mobile number" => {
            "es un teléfono fijo o no recibe mensajes; pida un móvil al paciente"
        }
        "the text is longer than 1600 characters; shorten it" => "el mensaje pasa de 1600 caracteres; acórtelo",
        "the Messaging Service has no number; add one at Twilio" => {
            "el Messaging Service no tiene número; añada uno en Twilio"
        }
        "the gateway's queue was full or the text too old; resend it" => {
            "la cola de la pasarela estaba llena o el mensaje era viejo; envíelo otra vez"
        }
        "the Twilio account is suspended; settle it with Twilio" => {
            "la cuenta de Twilio está suspendida; arréglelo con Twilio"
        }
        "the phone was off or out of reach; resend it later or call" => {
            "el teléfono estaba apagado o sin cobertura; envíelo más tarde o llame"
        }
        "the recipient or their carrier blocks texts from the clinic; call the patient" => {
            "el paciente o su operador bloquea los mensajes de la clínica; llame al paciente"
        }
        "the number is not in service; check it with the patient" => {
            "el número no está en servicio; compruébelo con el paciente"
        }
        "the carrier filtered it as spam; change the wording and check the number's registration" => {
            "el operador lo filtró como spam; cambie las palabras y revise el registro del número"
        }
        "the carrier did not say why; resend it or call" => "el operador no dijo por qué; envíelo otra vez o llame",
        "the clinic's number is not registered for business texting (A2P 10DLC); register it at Twilio" => {
            "el número de la clínica no está registrado para mensajes de empresa (A2P 10DLC); regístrelo en Twilio"
        }
        "it was not delivered within its time; resend it if it is still of use" => {
            "no se entregó a tiempo; envíelo otra vez si aún sirve"
        }
        "the gateway gave no reason" => "la pasarela no dijo por qué",
        "the gateway did not get it; it is sent again" => "la pasarela no lo recibió; se envía otra vez",
        "the gateway's answer could not be recorded; look at the gateway before resending it" => {
            "no se pudo anotar la respuesta de la pasarela; mire en la pasarela antes de enviarlo otra vez"
        }
        "waits for its turn" => "espera su turno",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sms::consent;
    use crate::sms::twilio::refusal;

    #[test]
    fn every_reason_of_the_gateway_is_said_in_spanish_with_its_code() {
        let codes = [
            21211, 21214, 21217, 21408, 21606, 21212, 21603, 21659, 21660, 21610, 21612, 21614, 30006, 21617, 21703,
            21704, 30001, 30002, 30003, 30004, 30005, 30007, 30008, 30034, 30036,
        ];
        for code in codes {
            let english = format!("{} ({code})", refusal(code).reason);
            let said = reason(Ui::Es, &english).into_string();
            assert!(!said.contains("lang=") && said.ends_with(&format!(" ({code})")), "{english}: {said}");
            assert_eq!(reason(Ui::En, &english).into_string(), html! { (english) }.into_string());
        }
        assert!(!reason(Ui::Es, &consent::refused().reason).into_string().contains("lang="));
    }

    #[test]
    fn a_reason_that_is_not_known_is_said_to_be_english() {
        assert_eq!(reason(Ui::Es, "HTTP <418>").into_string(), "<span lang=\"en\">HTTP &lt;418&gt;</span>");
    }
}
