//! The words of what pages show and do of calls: [`crate::web::calls`], [`crate::web::voicemails`],
//! [`crate::web::notices`], and calls in a thread.

use super::Ui;
use crate::call::front_desk::{NoAnswering, NotCalled, PhoneDoing};

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub title: &'static str,
    pub nobody_waits: &'static str,
    pub alone: &'static str,
    pub line: fn(&str) -> String,
    pub position: fn(usize) -> String,
    pub waits_for: fn(&str) -> String,
    pub rings: fn(&str) -> String,
    pub nothing_rings: &'static str,
    pub to_be_called_back: &'static str,
    pub answer: &'static str,
    pub answer_whom: fn(&str) -> String,
    pub my_phone_rings: &'static str,
    pub offer: &'static str,
    pub offer_whom: fn(&str) -> String,
    pub offered: &'static str,
    pub no_offer: &'static str,
    pub gone: &'static str,
    pub talking: &'static str,
    pub nobody_talks: &'static str,
    pub with: fn(&str) -> String,
    pub elsewhere: &'static str,
    pub in_menu: &'static str,
    pub placed: &'static str,
    pub emergency_services: &'static str,
    pub phones: &'static str,
    pub no_phones: &'static str,
    pub mine: &'static str,
    pub open_thread: &'static str,

    pub my_phone: &'static str,
    pub my_phone_hint: &'static str,
    pub their_phone: &'static str,
    pub no_phone_chosen: &'static str,
    pub now_with: fn(&str) -> String,
    pub choose_phone: &'static str,
    pub no_phone: &'static str,
    pub phone_gone: &'static str,
    pub no_such_phone: &'static str,

    pub call: &'static str,
    pub call_them: &'static str,
    pub call_hint: fn(&str) -> String,
    pub cannot_call: &'static str,
    pub opened_elsewhere: &'static str,

    pub callback: &'static str,
    pub callback_waits: fn(&str) -> String,
    pub callback_in_line: &'static str,
    pub callback_rings: &'static str,
    pub callback_done: fn(&str) -> String,
    pub callback_failed: fn(&str) -> String,
    pub callback_cancelled: fn(&str) -> String,
    pub attempts: fn(u32, &str) -> String,
    pub call_now: &'static str,
    pub cancel: &'static str,
    pub not_waiting: &'static str,
    pub already_due: &'static str,

    pub voicemail: &'static str,
    pub voicemails: &'static str,
    pub voicemails_about: &'static str,
    pub no_voicemails: &'static str,
    pub unheard: &'static str,
    pub heard_by: fn(&str, &str) -> String,
    pub deleted: &'static str,
    pub delete: &'static str,
    pub whose: &'static str,
    pub whose_hint: &'static str,
    pub file: &'static str,
    pub bad_number: &'static str,
    pub own_number: &'static str,
    pub filed: &'static str,
    pub more: &'static str,
    pub number_hidden: &'static str,
    pub audio_lost: &'static str,
    pub play: fn(&str) -> String,
    pub recording: &'static str,
    pub recording_until: fn(&str) -> String,
    pub answered_by: fn(&str) -> String,
    pub placed_by: fn(&str) -> String,

    pub left_message: &'static str,
    pub asked_callback: &'static str,

    pub called: fn(&str, &str, &str) -> String,
    pub seen: &'static str,
    pub emergencies: &'static str,
}

const EN: Words = Words {
    title: "On the phone",
    nobody_waits: "Nobody waits for a person.",
    alone: "Phones ring for",
    line: |name| format!("Waiting in “{name}”"),
    position: |position| format!("No. {position}"),
    waits_for: |length| format!("waits for {length}"),
    rings: |phones| format!("rings at: {phones}"),
    nothing_rings: "no phone rings",
    to_be_called_back: "to be called back",
    answer: "Answer",
    answer_whom: |who| format!("Answer {who}"),
    my_phone_rings: "Your phone rings. Pick it up.",
    offer: "Offer a text",
    offer_whom: |who| format!("Offer a text to {who}"),
    offered: "They hear the offer of a text now.",
    no_offer: "The queue in which they wait offers no text. The tree's file says so: offer_text.",
    gone: "They do not wait any more: somebody has answered, or they have hung up.",
    talking: "Speaking",
    nobody_talks: "Nobody speaks with a caller.",
    with: |phone| format!("with {phone}"),
    elsewhere: "In the phone menu",
    in_menu: "being answered",
    placed: "The clinic calls",
    emergency_services: "emergency services",
    phones: "The clinic's phones",
    no_phones: "No phone registers with this box. They are added in threadline.toml, under [[extension]].",
    mine: "yours",
    open_thread: "Open the thread",

    my_phone: "My phone",
    my_phone_hint: "It rings when you press “Answer” beside a caller, or “Call” in a thread.",
    their_phone: "Their phone",
    no_phone_chosen: "none",
    now_with: |name| format!("now {name}'s"),
    choose_phone: "Save",
    no_phone: "Which phone is yours? Choose it on your account's page, then press again.",
    phone_gone: "Your phone is not among the clinic's phones any more. Choose another on your account's page.",
    no_such_phone: "There is no such phone. Phones are in threadline.toml, under [[extension]].",

    call: "Call",
    call_them: "Call the patient",
    call_hint: |phone| {
        format!("Your phone ({phone}) rings first, then the patient's, which shows the clinic's number.")
    },
    cannot_call: "This number cannot be called.",
    opened_elsewhere: "This thread is a part of another. Open that one.",

    callback: "Call back",
    callback_waits: |at| format!("Asked to be called back; due {at}."),
    callback_in_line: "Asked to be called back, and keeps their place in the line.",
    callback_rings: "Is being called back now.",
    callback_done: |at| format!("Was called back at {at}."),
    callback_failed: |at| format!("Could not be called back; given up at {at}. Try it yourself."),
    callback_cancelled: |at| format!("The call back was called off at {at}."),
    attempts: |count, at| match count {
        1 => format!("Called once, in vain, at {at}."),
        _ => format!("Called {count} times, last at {at}."),
    },
    call_now: "Call back now",
    cancel: "Call it off",
    not_waiting: "It is being made now, or is over: nothing can be changed.",
    already_due: "It is due already: phones ring for it in their turn. “On the phone” shows it.",

    voicemail: "Voice message",
    voicemails: "Voice messages",
    voicemails_about: "Messages of callers who did not show their number. Once you have heard whose one is, put it into the thread of their number.",
    no_voicemails: "No message is without its thread.",
    unheard: "not heard yet",
    heard_by: |name, at| format!("first heard by {name}, {at}"),
    deleted: "its audio was deleted",
    delete: "Delete",
    whose: "Whose is it?",
    whose_hint: "the number that they are called at",
    file: "Put into their thread",
    bad_number: "Not a number that can be called. Write it with its area code.",
    own_number: "That is the clinic's own number.",
    filed: "It stands in a thread already.",
    more: "Older",
    number_hidden: "number hidden",
    audio_lost: "The audio is not in the store's folder any more. Look in a backup.",
    play: |when| format!("Voice message of {when}"),
    recording: "Recording",
    recording_until: |at| format!("kept until {at}"),
    answered_by: |who| format!("answered by {who}"),
    placed_by: |who| format!("placed by {who}"),

    left_message: "left a message",
    asked_callback: "asked for a call back",

    called: |phone, digits, at| format!("{phone} called {digits} at {at}."),
    seen: "I have seen it",
    emergencies: "Emergency calls",
};

const ES: Words = Words {
    title: "Al teléfono",
    nobody_waits: "Nadie espera a una persona.",
    alone: "Suenan teléfonos por",
    line: |name| format!("Esperan en «{name}»"),
    position: |position| format!("N.º {position}"),
    waits_for: |length| format!("espera desde hace {length}"),
    rings: |phones| format!("suena en: {phones}"),
    nothing_rings: "no suena ningún teléfono",
    to_be_called_back: "se le devolverá la llamada",
    answer: "Contestar",
    answer_whom: |who| format!("Contestar a {who}"),
    my_phone_rings: "Suena su teléfono. Descuelgue.",
    offer: "Ofrecer mensaje",
    offer_whom: |who| format!("Ofrecer un mensaje a {who}"),
    offered: "Ahora oye la oferta de un mensaje.",
    no_offer: "La cola en la que espera no ofrece mensajes. Así lo dice el archivo del menú: offer_text.",
    gone: "Ya no espera: alguien contestó, o colgó.",
    talking: "Hablando",
    nobody_talks: "Nadie habla con quien llama.",
    with: |phone| format!("con {phone}"),
    elsewhere: "En el menú telefónico",
    in_menu: "contestando",
    placed: "La clínica llama",
    emergency_services: "emergencias",
    phones: "Los teléfonos de la clínica",
    no_phones: "Ningún teléfono se registra en este equipo. Se añaden en threadline.toml, en [[extension]].",
    mine: "el suyo",
    open_thread: "Abrir el hilo",

    my_phone: "Mi teléfono",
    my_phone_hint: "Suena cuando pulsa «Contestar» junto a quien llama, o «Llamar» en un hilo.",
    their_phone: "Su teléfono",
    no_phone_chosen: "ninguno",
    now_with: |name| format!("ahora de {name}"),
    choose_phone: "Guardar",
    no_phone: "¿Cuál es su teléfono? Elíjalo en la página de su cuenta y pulse otra vez.",
    phone_gone: "Su teléfono ya no está entre los de la clínica. Elija otro en la página de su cuenta.",
    no_such_phone: "No existe ese teléfono. Los teléfonos están en threadline.toml, en [[extension]].",

    call: "Llamar",
    call_them: "Llamar al paciente",
    call_hint: |phone| {
        format!("Primero suena su teléfono ({phone}), después el del paciente, que muestra el número de la clínica.")
    },
    cannot_call: "No se puede llamar a este número.",
    opened_elsewhere: "Este hilo es parte de otro. Abra aquel.",

    callback: "Devolver la llamada",
    callback_waits: |at| format!("Pidió que le llamen; toca {at}."),
    callback_in_line: "Pidió que le llamen, y conserva su lugar en la cola.",
    callback_rings: "Se le está llamando ahora.",
    callback_done: |at| format!("Se le devolvió la llamada: {at}."),
    callback_failed: |at| format!("No se le pudo devolver la llamada; se dejó: {at}. Inténtelo usted."),
    callback_cancelled: |at| format!("Se canceló la llamada pendiente: {at}."),
    attempts: |count, at| match count {
        1 => format!("Se le llamó una vez, en vano: {at}."),
        _ => format!("Se le llamó {count} veces, la última: {at}."),
    },
    call_now: "Llamar ahora",
    cancel: "Cancelar",
    not_waiting: "Se está haciendo ahora, o terminó: no se puede cambiar nada.",
    already_due: "Ya le toca: los teléfonos suenan por ella a su turno. Está en «Al teléfono».",

    voicemail: "Mensaje de voz",
    voicemails: "Mensajes de voz",
    voicemails_about: "Mensajes de quienes no mostraron su número. Cuando haya oído de quién es uno, póngalo en el hilo de su número.",
    no_voicemails: "Ningún mensaje está sin hilo.",
    unheard: "sin oír",
    heard_by: |name, at| format!("lo oyó primero {name}, {at}"),
    deleted: "se borró su audio",
    delete: "Borrar",
    whose: "¿De quién es?",
    whose_hint: "el número al que se le llama",
    file: "Poner en su hilo",
    bad_number: "No es un número al que se pueda llamar. Escríbalo con su prefijo.",
    own_number: "Ese es el número de la clínica.",
    filed: "Ya está en un hilo.",
    more: "Anteriores",
    number_hidden: "número oculto",
    audio_lost: "El audio ya no está en la carpeta de datos. Busque en una copia de seguridad.",
    play: |when| format!("Mensaje de voz: {when}"),
    recording: "Grabación",
    recording_until: |at| format!("se guarda hasta {at}"),
    answered_by: |who| format!("contestó {who}"),
    placed_by: |who| format!("llamó {who}"),

    left_message: "dejó un mensaje de voz",
    asked_callback: "pidió que le llamen",

    called: |phone, digits, at| format!("Desde {phone} se llamó al {digits}: {at}."),
    seen: "Lo he visto",
    emergencies: "Llamadas de emergencia",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}

/// What a phone does.
pub fn doing(ui: Ui, doing: PhoneDoing) -> &'static str {
    match doing {
        PhoneDoing::Free => ui.pick("free", "libre"),
        PhoneDoing::Ringing(_) => ui.pick("rings", "suena"),
        PhoneDoing::OnCall => ui.pick("on a call", "en una llamada"),
        PhoneDoing::Resting(_) => ui.pick("was not picked up just now", "acaba de no ser atendido"),
        PhoneDoing::Unreachable => ui.pick("not registered", "no registrado"),
    }
}

/// Why one's phone does not ring.
pub fn refusal(ui: Ui, why: NoAnswering) -> &'static str {
    match why {
        NoAnswering::Gone => words(ui).gone,
        NoAnswering::OnACall => ui.pick(
            "Your phone rings or is on a call. Hang up, then press again.",
            "Su teléfono suena o está en una llamada. Cuelgue y pulse otra vez.",
        ),
        NoAnswering::Unreachable => ui.pick(
            "Your phone is not registered with this box. Is it switched on and connected? Its display says so.",
            "Su teléfono no está registrado en este equipo. ¿Está encendido y conectado? Lo dice su pantalla.",
        ),
    }
}

/// Why a patient is not called.
pub fn not_called(ui: Ui, why: NotCalled) -> &'static str {
    match why {
        NotCalled::Phone(why) => refusal(ui, why),
        NotCalled::Already => ui.pick(
            "They are being called already: a phone of the clinic rings for it, or somebody speaks with them. “On the phone” shows who.",
            "Ya se le está llamando: suena un teléfono de la clínica, o alguien habla con esa persona. «Al teléfono» muestra quién.",
        ),
        NotCalled::NotAllowed => ui.pick(
            "Your phone may not call this number. How the numbers begin that it may call is in threadline.toml: may_call, under its [[extension]], or pbx_may_call, under [phones], for a phone of a PBX.",
            "Su teléfono no puede llamar a este número. Cómo empiezan los números a los que puede está en threadline.toml: may_call, en su [[extension]], o pbx_may_call, en [phones], si es de una centralita.",
        ),
        NotCalled::Stopping => ui.pick(
            "The telephone system is about to restart and places no new call. Try again in a minute.",
            "El sistema telefónico va a reiniciarse y no hace llamadas nuevas. Inténtelo de nuevo en un minuto.",
        ),
    }
}
