//! The words of [`crate::web::palette`], and of the list of keys.

use super::Ui;

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub open: &'static str,
    pub title: &'static str,
    pub look_for: &'static str,
    pub hint: &'static str,
    pub here: &'static str,
    pub go: &'static str,
    pub people: &'static str,
    pub threads: &'static str,
    pub templates: &'static str,
    pub everything: &'static str,
    pub no_thread: &'static str,
    /// After the number of results.
    pub results: &'static str,
    pub nothing: &'static str,
    pub keys: &'static str,
    pub keys_about: &'static str,
    pub keys_none: &'static str,
    pub on: &'static str,
    pub close: &'static str,
    pub show_palette: &'static str,
    pub show_keys: &'static str,
    pub send: &'static str,
    pub leave: &'static str,
}

const EN: Words = Words {
    open: "Find or do",
    title: "Find a thread or do something",
    look_for: "A name, a number, words, or what you want to do",
    hint: "Up and down choose, Enter takes, Escape closes.",
    here: "On this page",
    go: "Go to",
    people: "People and numbers",
    threads: "Messages and notes",
    templates: "Templates",
    everything: "Search all messages for this",
    no_thread: "write to them",
    results: "results",
    nothing: "Nothing fits.",
    keys: "Keys",
    keys_about: "Each works outside of fields. Two keys are pressed one after the other.",
    keys_none: "This page has no keys of its own.",
    on: "Use keys without Ctrl",
    close: "Close",
    show_palette: "Find or do something",
    show_keys: "This list",
    send: "Send what is written",
    leave: "Leave a field, close a window",
};

const ES: Words = Words {
    open: "Buscar o hacer",
    title: "Buscar un hilo o hacer algo",
    look_for: "Un nombre, un número, palabras o lo que quiere hacer",
    hint: "Arriba y abajo eligen, Intro acepta, Escape cierra.",
    here: "En esta página",
    go: "Ir a",
    people: "Personas y números",
    threads: "Mensajes y notas",
    templates: "Plantillas",
    everything: "Buscar esto en todos los mensajes",
    no_thread: "escribirle",
    results: "resultados",
    nothing: "Nada coincide.",
    keys: "Teclas",
    keys_about: "Funcionan fuera de los campos. Si son dos, se pulsan una tras otra.",
    keys_none: "Esta página no tiene teclas propias.",
    on: "Usar teclas sin Ctrl",
    close: "Cerrar",
    show_palette: "Buscar o hacer algo",
    show_keys: "Esta lista",
    send: "Enviar lo escrito",
    leave: "Salir de un campo, cerrar una ventana",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}
