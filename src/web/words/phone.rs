//! The words of [`crate::web::phone`].

use super::Ui;

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub title: &'static str,
    pub about: &'static str,
    pub whose: &'static str,
    pub use_it: &'static str,
    pub recent: &'static str,
    pub texts: &'static str,
    pub no_texts: &'static str,
    pub write: &'static str,
    pub send: &'static str,
    pub you: &'static str,
    pub keywords: &'static str,
    pub endings: &'static str,
    pub endings_about: &'static str,
    pub fates: [(&'static str, &'static str); 8],
    pub bad_number: &'static str,
    pub own_number: &'static str,
    pub too_long: &'static str,
    pub choose: &'static str,
}

const EN: Words = Words {
    title: "A patient's phone",
    about: "The sandbox gateway keeps texts on this machine; here they arrive, and from here you can answer as the patient.",
    whose: "Phone number",
    use_it: "Pick up",
    recent: "Phones that got a text",
    texts: "Texts with the clinic",
    no_texts: "No texts yet. Write one, or call the clinic and press 1.",
    write: "Text message",
    send: "Send",
    you: "You",
    keywords: "STOP, START and HELP do here what they do on a real phone.",
    endings: "Numbers that fail",
    endings_about: "The last four digits of the number decide what the sandbox does with a text to it:",
    fates: [
        ("0001", "refused: no such number"),
        ("0002", "refused: opted out at the carrier"),
        ("0003", "taken, then not delivered: a landline"),
        ("0004", "slowed down once, then taken"),
        ("0005", "taken after three seconds"),
        ("0006", "taken, the answer lost"),
        ("0007", "taken, the answer lost for good: shown as unknown"),
        ("0008", "lost once, taken at the second try"),
    ],
    bad_number: "That is not a phone number; write it in full, such as +12125550142.",
    own_number: "That is the clinic's own number; choose a patient's.",
    too_long: "A text has 1,600 characters at most.",
    choose: "Choose a phone or type a number.",
};

const ES: Words = Words {
    title: "El teléfono de un paciente",
    about: "La pasarela de prueba guarda los mensajes en esta máquina; aquí llegan, y desde aquí puede responder como el paciente.",
    whose: "Número de teléfono",
    use_it: "Tomar",
    recent: "Teléfonos que recibieron un mensaje",
    texts: "Mensajes con la clínica",
    no_texts: "Aún no hay mensajes. Escriba uno, o llame a la clínica y pulse 1.",
    write: "Mensaje de texto",
    send: "Enviar",
    you: "Usted",
    keywords: "ALTO, START y AYUDA hacen aquí lo mismo que en un teléfono de verdad.",
    endings: "Números que fallan",
    endings_about: "Las últimas cuatro cifras del número deciden qué hace la pasarela de prueba con un mensaje:",
    fates: [
        ("0001", "rechazado: el número no existe"),
        ("0002", "rechazado: dado de baja en la operadora"),
        ("0003", "aceptado y luego no entregado: es un fijo"),
        ("0004", "frenado una vez, luego aceptado"),
        ("0005", "aceptado tras tres segundos"),
        ("0006", "aceptado, la respuesta se pierde"),
        ("0007", "aceptado, la respuesta se pierde del todo: queda como desconocido"),
        ("0008", "perdido una vez, aceptado al segundo intento"),
    ],
    bad_number: "Eso no es un número de teléfono; escríbalo completo, como +12125550142.",
    own_number: "Ese es el número de la clínica; elija el de un paciente.",
    too_long: "Un mensaje tiene 1600 caracteres como máximo.",
    choose: "Elija un teléfono o escriba un número.",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}
