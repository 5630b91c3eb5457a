//! The words around every page.

use super::Ui;

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub skip: &'static str,
    pub sections: &'static str,
    pub inbox: &'static str,
    pub day: &'static str,
    pub calls: &'static str,
    pub voicemails: &'static str,
    pub search: &'static str,
    pub new_text: &'static str,
    pub admin: &'static str,
    pub help: &'static str,
    pub account: &'static str,
    pub sign_out: &'static str,
    pub offline: &'static str,
    pub unreached: &'static str,
}

const EN: Words = Words {
    skip: "Skip to the content",
    sections: "Sections",
    inbox: "Inbox",
    day: "The day",
    calls: "Calls",
    voicemails: "Voice messages",
    search: "Search",
    new_text: "New text",
    admin: "Admin",
    help: "Help",
    account: "My account",
    sign_out: "Sign out",
    offline: "Connection lost. Trying again; nothing is missed.",
    unreached: "That did not get through. What you wrote is still here: try again.",
};

const ES: Words = Words {
    skip: "Ir al contenido",
    sections: "Secciones",
    inbox: "Bandeja",
    day: "El día",
    calls: "Llamadas",
    voicemails: "Mensajes de voz",
    search: "Buscar",
    new_text: "Mensaje nuevo",
    admin: "Administración",
    help: "Ayuda",
    account: "Mi cuenta",
    sign_out: "Salir",
    offline: "Sin conexión. Se intenta de nuevo; no se pierde nada.",
    unreached: "No se ha podido enviar. Lo que escribió sigue aquí: inténtelo de nuevo.",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}
