//! The words of [`crate::web::new_text`].

use super::Ui;

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub title: &'static str,
    pub to: &'static str,
    pub to_hint: &'static str,
    pub next: &'static str,
    pub who: &'static str,
    pub nobody: &'static str,
    pub other: &'static str,
    pub new_thread: &'static str,
    pub write: &'static str,
    pub kept: &'static str,
    pub at_desk: &'static str,
    pub read_aloud: &'static str,
    /// What is read aloud; `{clinic}` is filled in.
    pub disclosure: &'static str,
    pub they_said_yes: &'static str,
    pub record: &'static str,
    pub tick: &'static str,
    pub recorded: &'static str,
}

const EN: Words = Words {
    title: "New text",
    to: "To",
    to_hint: "A number, or the name of somebody you know here.",
    next: "Next",
    who: "Which of them?",
    nobody: "Nobody of that name is known here, and it is not a phone number. Write the number in full, such as +12125550142.",
    other: "Somebody else",
    new_thread: "Opens a thread that is yours.",
    write: "Write",
    kept: "What you have written is kept:",
    at_desk: "They agree at the desk or on the phone?",
    read_aloud: "Read these words aloud:",
    disclosure: "May {clinic} text you at this number about your appointments and questions? Message and data rates may apply. Texts are not encrypted. You can reply STOP at any time to end it.",
    they_said_yes: "They heard these words and said yes",
    record: "Record consent",
    tick: "Tick that they heard the words and said yes.",
    recorded: "Consent is on record. Now you can write.",
};

const ES: Words = Words {
    title: "Mensaje nuevo",
    to: "Para",
    to_hint: "Un número, o el nombre de alguien conocido aquí.",
    next: "Seguir",
    who: "¿Quién de ellos?",
    nobody: "Aquí no se conoce a nadie con ese nombre y no es un número de teléfono. Escriba el número completo, como +12125550142.",
    other: "Otra persona",
    new_thread: "Abre un hilo a cargo de usted.",
    write: "Escribir",
    kept: "Lo que ha escrito se conserva:",
    at_desk: "¿Acepta en recepción o por teléfono?",
    read_aloud: "Lea estas palabras en voz alta:",
    disclosure: "¿Puede {clinic} escribirle mensajes a este número sobre sus citas y preguntas? Pueden aplicarse tarifas de mensajes y datos. Los mensajes no van cifrados. Puede responder ALTO cuando quiera para no recibir más.",
    they_said_yes: "Oyó estas palabras y dijo que sí",
    record: "Registrar el consentimiento",
    tick: "Marque que oyó las palabras y dijo que sí.",
    recorded: "El consentimiento está registrado. Ya puede escribir.",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}
