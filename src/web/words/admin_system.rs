//! The words of [`crate::web::admin::system`].

use super::Ui;
use crate::web::admin::system::{Heard, Light};

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub gateway: &'static str,
    pub in_use: &'static str,
    pub sends_from: &'static str,
    pub webhooks_at: &'static str,
    pub no_public_url: &'static str,
    pub embedded: &'static str,
    pub waiting: &'static str,
    pub oldest: &'static str,
    pub fates: &'static str,
    pub webhooks: &'static str,
    pub since_start: &'static str,
    pub trunks: &'static str,
    pub no_trunks: &'static str,
    pub registers: &'static str,
    pub by_address: &'static str,
    pub not_asked: &'static str,
    pub ask: &'static str,
    pub ringing: &'static str,
    pub calls: &'static str,
    pub nobody: &'static str,
    pub call_since: &'static str,
    pub the_box: &'static str,
    pub version: &'static str,
    pub running: &'static str,
    pub database: &'static str,
    pub disk: &'static str,
    pub unknown: &'static str,
    pub test: &'static str,
    pub test_why: &'static str,
    pub test_to: &'static str,
    pub test_button: &'static str,
    pub test_done: &'static str,
    pub bad_number: &'static str,
    pub no_consent: &'static str,
    pub test_body: &'static str,
}

const EN: Words = Words {
    gateway: "Texts",
    in_use: "Gateway",
    sends_from: "Texts come from",
    webhooks_at: "The gateway reports to",
    no_public_url: "nowhere: [web] public_url is not set, so answers and receipts do not come in",
    embedded: "the embedded one: nothing leaves the box",
    waiting: "Waiting to be sent",
    oldest: "the oldest since",
    fates: "What became of texts",
    webhooks: "What the gateway reported",
    since_start: "since the start",
    trunks: "Trunks",
    no_trunks: "None is configured: nobody can call.",
    registers: "registers",
    by_address: "known by address",
    not_asked: "not asked yet",
    ask: "Test",
    ringing: "not answered yet",
    calls: "Calls in progress",
    nobody: "Nobody is on the phone.",
    call_since: "since",
    the_box: "The box",
    version: "Version",
    running: "Running since",
    database: "Database",
    disk: "Free on its disk",
    unknown: "not known",
    test: "Send a test text",
    test_why: "To a number that has agreed to texts, such as your own. The text appears in its thread like any other, and goes out with the next one in turn.",
    test_to: "To",
    test_button: "Send the test",
    test_done: "The test text is on its way. Above, it counts as accepted once the gateway has it.",
    bad_number: "That is no telephone number. Write it as +12125550142.",
    no_consent: "This number cannot be texted: it has not agreed to texts, has opted out, takes none, or is the clinic's own.",
    test_body: "this is a test of our texts. There is nothing to do.",
};

const ES: Words = Words {
    gateway: "Mensajes",
    in_use: "Pasarela",
    sends_from: "Los mensajes salen de",
    webhooks_at: "La pasarela avisa en",
    no_public_url: "ningún sitio: falta [web] public_url, así que no llegan respuestas ni acuses",
    embedded: "la incorporada: nada sale del equipo",
    waiting: "Por enviar",
    oldest: "el más antiguo desde",
    fates: "Qué fue de los mensajes",
    webhooks: "Qué avisó la pasarela",
    since_start: "desde el arranque",
    trunks: "Troncales",
    no_trunks: "No hay ninguna: nadie puede llamar.",
    registers: "se registra",
    by_address: "conocida por su dirección",
    not_asked: "aún no se le ha preguntado",
    ask: "Probar",
    ringing: "sin contestar todavía",
    calls: "Llamadas en curso",
    nobody: "No hay nadie al teléfono.",
    call_since: "desde",
    the_box: "El equipo",
    version: "Versión",
    running: "En marcha desde",
    database: "Base de datos",
    disk: "Libre en su disco",
    unknown: "no se sabe",
    test: "Enviar un mensaje de prueba",
    test_why: "A un número que aceptó recibir mensajes, como el suyo. El mensaje aparece en su hilo como cualquier otro y sale cuando le toca.",
    test_to: "Para",
    test_button: "Enviar la prueba",
    test_done: "El mensaje de prueba va en camino. Arriba cuenta como «accepted» cuando la pasarela lo tiene.",
    bad_number: "Eso no es un número de teléfono. Escríbalo como +12125550142.",
    no_consent: "A este número no se le puede escribir: no ha aceptado mensajes, se dio de baja, no los recibe o es de la clínica.",
    test_body: "esto es una prueba de nuestros mensajes. No tiene que hacer nada.",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}

/// How a trunk is.
pub fn light(ui: Ui, light: Light) -> &'static str {
    match light {
        Light::Starting => ui.pick("not known yet", "aún no se sabe"),
        Light::Up => ui.pick("works", "funciona"),
        Light::Down => ui.pick("does not answer", "no contesta"),
    }
}

/// What asking a trunk came to: "answered 200 within 12 ms, 2:14 PM".
pub fn heard(ui: Ui, heard: &Heard, when: &str) -> String {
    let took = heard.took.as_millis();
    match heard.status {
        Some(status) => ui.pick(
            format!("answered {status} within {took} ms, {when}"),
            format!("contestó {status} en {took} ms, {when}"),
        ),
        None => ui.pick(format!("no answer, {when}"), format!("sin respuesta, {when}")),
    }
}

/// What became of a text, or of what a gateway reported. A word that is not known here is shown as it is.
pub fn fate(ui: Ui, fate: &str) -> &str {
    match fate {
        "accepted" => ui.pick("accepted", "aceptados"),
        "retried" => ui.pick("tried again", "reintentados"),
        "failed" => ui.pick("failed", "fallidos"),
        "unknown" => ui.pick("fate unknown", "destino desconocido"),
        "expired" => ui.pick("too old", "caducados"),
        "asked" => ui.pick("asked about", "consultados"),
        "unproven" => ui.pick("not proven to be the gateway's", "sin prueba de ser de la pasarela"),
        "malformed" => ui.pick("unreadable", "ilegibles"),
        "too_large" => ui.pick("too large", "demasiado grandes"),
        "too_slow" => ui.pick("too slow", "demasiado lentos"),
        "unavailable" => ui.pick("could not be stored", "no se pudieron guardar"),
        other => other,
    }
}
