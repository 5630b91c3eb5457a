//! The words of [`crate::web::admin::prompts`].

use super::Ui;

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub replace: &'static str,
    pub now: &'static str,
    pub upload: &'static str,
    pub upload_hint: &'static str,
    pub upload_button: &'static str,
    pub words: &'static str,
    pub words_hint: &'static str,
    pub words_button: &'static str,
    pub no_words: &'static str,
    pub consent: &'static str,
    pub versions: &'static str,
    pub no_versions: &'static str,
    pub until: &'static str,
    pub put_back: &'static str,
    pub done: &'static str,
    pub nothing: &'static str,
    pub this_is: &'static str,
    pub save_as: &'static str,
    pub fault: &'static str,
    pub unwritable: &'static str,
    pub unwritable_cure: &'static str,
    pub not_taken: &'static str,
    pub back: &'static str,
}

const EN: Words = Words {
    replace: "Replace, or change its words",
    now: "In force now",
    upload: "A new recording",
    upload_hint: "WAV, 8, 16, 24 or 48 kHz, at most 10 MB",
    upload_button: "Replace the recording",
    words: "What it says",
    words_hint: "word by word: this is what is shown here and kept with a consent",
    words_button: "Save the words",
    no_words: "Write what the recording says.",
    consent: "Before a key that leads to a text, the recording has to say that a text will come.",
    versions: "Older recordings",
    no_versions: "None yet.",
    until: "until",
    put_back: "Put it back",
    done: "Done. The next call hears it.",
    nothing: "Choose a file first.",
    this_is: "This is",
    save_as: "Save it as WAV and upload that.",
    fault: "This recording cannot be used:",
    unwritable: "Not replaced: the file cannot be written:",
    unwritable_cure: "Whoever runs the box lets the daemon write there, once, as root:",
    not_taken: "Not replaced, everything is as it was. The daemon could not take it:",
    back: "All recordings",
};

const ES: Words = Words {
    replace: "Sustituir, o cambiar sus palabras",
    now: "En vigor ahora",
    upload: "Una grabación nueva",
    upload_hint: "WAV, 8, 16, 24 o 48 kHz, 10 MB como máximo",
    upload_button: "Sustituir la grabación",
    words: "Lo que dice",
    words_hint: "palabra por palabra: es lo que se muestra aquí y se guarda con un consentimiento",
    words_button: "Guardar las palabras",
    no_words: "Escriba lo que dice la grabación.",
    consent: "Antes de una tecla que lleva a un mensaje, la grabación debe decir que llegará un mensaje.",
    versions: "Grabaciones anteriores",
    no_versions: "Todavía ninguna.",
    until: "hasta",
    put_back: "Volver a ella",
    done: "Hecho. La próxima llamada ya la oye.",
    nothing: "Primero elija un archivo.",
    this_is: "Esto es",
    save_as: "Guárdelo como WAV y suba ese archivo.",
    fault: "Esta grabación no se puede usar:",
    unwritable: "No se sustituyó: no se puede escribir el archivo:",
    unwritable_cure: "Quien administra el equipo permite una sola vez, como root, que el servicio escriba allí:",
    not_taken: "No se sustituyó, todo está como estaba. El servicio no pudo usarla:",
    back: "Todas las grabaciones",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}
