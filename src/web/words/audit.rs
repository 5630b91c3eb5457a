//! The words of [`crate::web::audit`].

use super::Ui;

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub title: &'static str,
    pub about: &'static str,
    pub actor: &'static str,
    pub action: &'static str,
    pub subject: &'static str,
    pub subject_hint: &'static str,
    pub from: &'static str,
    pub to: &'static str,
    pub any: &'static str,
    pub show: &'static str,
    pub when: &'static str,
    pub row: &'static str,
    pub what: &'static str,
    pub older: &'static str,
    pub nothing: &'static str,
    pub unfinished: &'static str,
    pub check: &'static str,
    pub check_about: &'static str,
    /// Before the number of rows.
    pub holds: &'static str,
    /// After it.
    pub rows: &'static str,
    /// Before the number of the row.
    pub broken: &'static str,
    pub broken_cure: &'static str,
    pub json: &'static str,
    pub csv: &'static str,
    pub export_about: &'static str,
    pub bad_date: &'static str,
    /// Actions as people say them.
    pub actions: &'static [(&'static str, &'static str)],
}

const EN: Words = Words {
    title: "Audit",
    about: "Everything that was done or viewed, newest first. Rows cannot be changed: each carries the hash of the one before.",
    actor: "Who",
    action: "What",
    subject: "To what",
    subject_hint: "such as thread:… or staff:ana",
    from: "From",
    to: "To",
    any: "any",
    show: "Show",
    when: "When",
    row: "Row",
    what: "What was done",
    older: "Older",
    nothing: "No row fits.",
    unfinished: "The rest has not been searched yet; dates make it quicker.",
    check: "Check the chain",
    check_about: "Reads every row and compares its hash. A long chain takes some seconds.",
    holds: "The chain holds:",
    rows: "rows, from the first to the newest.",
    broken: "The chain breaks at row",
    broken_cure: "It was changed, or a row before it is missing. Compare with a backup.",
    json: "Export as JSON lines",
    csv: "Export as CSV",
    export_about: "What the filters show, oldest first. The export is itself on record.",
    bad_date: "A date is written as 2026-11-02; use the field's calendar.",
    actions: &[
        ("audit.checked", "checked the audit chain"),
        ("audit.exported", "exported the audit chain"),
        ("audit.viewed", "read the audit chain"),
        ("call.viewed", "looked at a call"),
        ("consent.granted", "consent to texts given"),
        ("consent.revoked", "consent to texts withdrawn"),
        ("message.sent", "sent a text"),
        ("note.added", "added a note"),
        ("person.named", "named a person"),
        ("recording.heard", "heard a recording"),
        ("staff.added", "added a person to the staff"),
        ("staff.signed_in", "signed in"),
        ("staff.signed_out", "signed out"),
        ("store.unrecorded", "some records could not be written"),
        ("thread.assigned", "gave a thread to somebody"),
        ("thread.closed", "closed a thread"),
        ("thread.opened", "opened a thread"),
        ("thread.reopened", "opened a thread again"),
        ("thread.viewed", "looked at a thread"),
        ("threads.searched", "searched"),
    ],
};

const ES: Words = Words {
    title: "Auditoría",
    about: "Todo lo que se hizo o se vio, lo más nuevo primero. Las filas no se pueden cambiar: cada una lleva la huella de la anterior.",
    actor: "Quién",
    action: "Qué",
    subject: "A qué",
    subject_hint: "como thread:… o staff:ana",
    from: "Desde",
    to: "Hasta",
    any: "cualquiera",
    show: "Mostrar",
    when: "Cuándo",
    row: "Fila",
    what: "Qué se hizo",
    older: "Anteriores",
    nothing: "Ninguna fila coincide.",
    unfinished: "El resto aún no se ha buscado; con fechas va más rápido.",
    check: "Comprobar la cadena",
    check_about: "Lee todas las filas y compara su huella. Una cadena larga tarda unos segundos.",
    holds: "La cadena está íntegra:",
    rows: "filas, de la primera a la más nueva.",
    broken: "La cadena se rompe en la fila",
    broken_cure: "Se cambió, o falta una anterior. Compare con una copia de seguridad.",
    json: "Exportar como líneas JSON",
    csv: "Exportar como CSV",
    export_about: "Lo que muestran los filtros, lo más antiguo primero. La exportación también queda registrada.",
    bad_date: "Una fecha se escribe así: 2026-11-02; use el calendario del campo.",
    actions: &[
        ("audit.checked", "comprobó la auditoría"),
        ("audit.exported", "exportó la auditoría"),
        ("audit.viewed", "leyó la auditoría"),
        ("call.viewed", "vio una llamada"),
        ("consent.granted", "consentimiento para mensajes dado"),
        ("consent.revoked", "consentimiento para mensajes retirado"),
        ("message.sent", "envió un mensaje"),
        ("note.added", "añadió una nota"),
        ("person.named", "dio nombre a una persona"),
        ("recording.heard", "oyó una grabación"),
        ("staff.added", "añadió una persona al personal"),
        ("staff.signed_in", "entró"),
        ("staff.signed_out", "salió"),
        ("store.unrecorded", "algunos registros no se pudieron escribir"),
        ("thread.assigned", "dio un hilo a alguien"),
        ("thread.closed", "cerró un hilo"),
        ("thread.opened", "abrió un hilo"),
        ("thread.reopened", "volvió a abrir un hilo"),
        ("thread.viewed", "vio un hilo"),
        ("threads.searched", "buscó"),
    ],
};

impl Words {
    /// What an action is called, or its name as the record has it.
    pub fn action_in_words<'a>(&self, action: &'a str) -> &'a str {
        self.actions.iter().find(|(name, _)| *name == action).map_or(action, |(_, words)| *words)
    }
}

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}
