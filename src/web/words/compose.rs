//! The words of [`crate::web::compose`]: the box that a text is written in.

use super::Ui;

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub to_patient: &'static str,
    pub to_staff: &'static str,

    pub box_label: &'static str,
    pub send: &'static str,
    pub send_later: &'static str,
    pub later_at: fn(&str) -> String,
    pub later_button: &'static str,
    pub save: &'static str,
    pub template: &'static str,
    pub template_choose: &'static str,
    pub template_insert: &'static str,
    pub slash: &'static str,
    pub count: fn(usize, usize) -> String,
    pub forced: fn(char) -> String,
    pub too_long: fn(usize) -> String,

    pub empty: &'static str,
    pub too_long_refused: fn(usize) -> String,
    pub opted_out: &'static str,
    pub no_consent: &'static str,
    pub untextable: &'static str,
    pub elsewhere: &'static str,
    pub forged: &'static str,

    pub no_template: &'static str,
    pub missing: fn(&str) -> String,
    pub missing_first_name: &'static str,
    pub missing_hours: &'static str,

    pub unreadable_time: &'static str,
    pub past: &'static str,
    pub too_far: &'static str,
    pub choose_time: &'static str,
}

const EN: Words = Words {
    to_patient: "Text to the patient",
    to_staff: "Note for staff",

    box_label: "Your words",
    send: "Send",
    send_later: "Send later",
    later_at: |zone| format!("Date and time ({zone})"),
    later_button: "Schedule",
    save: "Save draft",
    template: "Message",
    template_choose: "Choose a message",
    template_insert: "Insert",
    slash: "Type / for a ready message.",
    count: |characters, segments| {
        let texts = if segments == 1 { "1 text".to_owned() } else { format!("{segments} texts") };
        format!("{characters} characters, {texts}")
    },
    forced: |c| format!("“{c}” makes it more expensive: with plain letters a text holds 160 characters, now 70"),
    too_long: |over| format!("{over} characters too many; a text may have 1,600"),

    empty: "There is nothing to send. Write something first.",
    too_long_refused: |length| {
        format!("This text has {length} characters; 1,600 is the most that can be sent. Shorten it or send it in two.")
    },
    opted_out: "They have opted out of texts. Call them; they can text START to the clinic's number.",
    no_consent: "They have not agreed to be texted. Ask them and record their words, or wait until they text first.",
    untextable: "This number takes no texts: it is a landline, or the clinic's own. Call them, and ask for a mobile number.",
    elsewhere: "This number has another conversation that is open. Answer there.",
    forged: "This form does not belong here. Reload the page and try again.",

    no_template: "There is no such message. Choose one from the list.",
    missing: |what| {
        format!("This message needs {what}, which nobody has told us. Ask your admin to set it, or write it yourself.")
    },
    missing_first_name: "This message names the patient, and we do not know who of them it is. Write the text yourself, or first one person's name beside the conversation.",
    missing_hours: "This message says the opening hours, and the phone tree has none. Write them yourself.",

    unreadable_time: "That is not a date and time. Write it as 2026-03-09T08:00.",
    past: "That time is past. Choose a later one.",
    too_far: "That is more than a year away. Choose an earlier time.",
    choose_time: "Choose a date and time first.",
};

const ES: Words = Words {
    to_patient: "Mensaje al paciente",
    to_staff: "Nota para el personal",

    box_label: "Sus palabras",
    send: "Enviar",
    send_later: "Enviar más tarde",
    later_at: |zone| format!("Fecha y hora ({zone})"),
    later_button: "Programar",
    save: "Guardar borrador",
    template: "Plantilla",
    template_choose: "Elija una plantilla",
    template_insert: "Insertar",
    slash: "Escriba / para una plantilla.",
    count: |characters, segments| {
        let texts = if segments == 1 { "1 mensaje".to_owned() } else { format!("{segments} mensajes") };
        format!("{characters} caracteres, {texts}")
    },
    forced: |c| format!("«{c}» lo encarece: con letras simples caben 160 caracteres por mensaje, ahora 70"),
    too_long: |over| format!("sobran {over} caracteres; caben 1600"),

    empty: "No hay nada que enviar. Escriba algo primero.",
    too_long_refused: |length| {
        format!("Este mensaje tiene {length} caracteres; caben 1600 como mucho. Acórtelo o envíe dos.")
    },
    opted_out: "No quiere recibir mensajes. Llame; puede escribir START al número de la clínica.",
    no_consent: "No ha aceptado recibir mensajes. Pregúntele y anote sus palabras, o espere a que escriba.",
    untextable: "Este número no recibe mensajes: es un fijo o el de la clínica. Llame y pida un móvil.",
    elsewhere: "Este número tiene otra conversación abierta. Responda allí.",
    forged: "Este formulario no es de aquí. Recargue la página e intente de nuevo.",

    no_template: "No hay tal plantilla. Elija una de la lista.",
    missing: |what| {
        format!(
            "Esta plantilla necesita {what}, que nadie nos ha dicho. Pida a su administrador que lo ponga, o escríbalo usted."
        )
    },
    missing_first_name: "Esta plantilla nombra al paciente, y no sabemos quién es. Escriba usted el mensaje, o antes el nombre de una persona junto a la conversación.",
    missing_hours: "Esta plantilla dice el horario, y el menú no tiene ninguno. Escríbalo usted.",

    unreadable_time: "Eso no es una fecha y hora. Escriba 2026-03-09T08:00.",
    past: "Esa hora ya pasó. Elija una posterior.",
    too_far: "Falta más de un año. Elija una hora más próxima.",
    choose_time: "Elija primero fecha y hora.",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}
