//! The words of [`crate::web::people`], and how roles are called everywhere.

use super::Ui;
use crate::conversation::permission::Act;
use crate::model::{Role, Roles};

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub title: &'static str,
    pub why: &'static str,
    pub name: &'static str,
    pub roles: &'static str,
    pub team: &'static str,
    pub no_team: &'static str,
    pub state: &'static str,
    pub active: &'static str,
    pub disabled: &'static str,
    pub no_password: &'static str,
    pub away_until: &'static str,
    pub add: &'static str,
    pub add_button: &'static str,
    pub no_role: &'static str,
    pub no_such_team: &'static str,
    pub save: &'static str,
    pub saved: &'static str,
    pub link_title: &'static str,
    pub link_why: &'static str,
    pub link_make: &'static str,
    pub link_hint: &'static str,
    pub disable: &'static str,
    pub disable_hint: &'static str,
    pub enable: &'static str,
    pub reset_factor: &'static str,
    pub reset_factor_hint: &'static str,
    pub end_sessions: &'static str,
    pub end_sessions_hint: &'static str,
    pub last_admin: &'static str,
    pub sign_in: &'static str,
    pub leave: &'static str,
    pub set_away: &'static str,
    pub back_at_work: &'static str,
    pub back: &'static str,
    pub table: &'static str,
    pub yes: &'static str,
    pub no: &'static str,
    pub yours: &'static str,
}

const EN: Words = Words {
    title: "People",
    why: "Who works with Threadline, and what they may do. A name stays in the records for ever, so that nobody is deleted: who leaves is disabled.",
    name: "Name",
    roles: "Roles",
    team: "Team",
    no_team: "none",
    state: "State",
    active: "active",
    disabled: "disabled",
    no_password: "link not used yet",
    away_until: "away until",
    add: "Add somebody",
    add_button: "Add and make the link",
    no_role: "Tick at least one role.",
    no_such_team: "There is no such team. Teams are in threadline.toml, under [[team]].",
    save: "Save",
    saved: "Saved.",
    link_title: "A link to hand over",
    link_why: "Give this link to them in person or by a message that only they read. It sets their password, works once, and for 24 hours. It is not shown again.",
    link_make: "Make a new link",
    link_hint: "for who has forgotten the password; an older link stops working",
    disable: "Disable",
    disable_hint: "signs them out everywhere, at once; their records stay",
    enable: "Enable",
    reset_factor: "Reset the second factor",
    reset_factor_hint: "for who has lost the phone: codes, recovery codes and passkeys are removed",
    end_sessions: "Sign them out everywhere",
    end_sessions_hint: "their password stays as it is",
    last_admin: "Nobody would be left who may add people. Make somebody else an admin first.",
    sign_in: "Signing in",
    leave: "Leave",
    set_away: "Away until",
    back_at_work: "Back at work",
    back: "All people",
    table: "What each role may see and do",
    yes: "yes",
    no: "no",
    yours: "yours",
};

const ES: Words = Words {
    title: "Personas",
    why: "Quién trabaja con Threadline y qué puede hacer. Un nombre queda en los registros para siempre, por eso no se borra a nadie: a quien se va se le desactiva.",
    name: "Nombre",
    roles: "Funciones",
    team: "Equipo",
    no_team: "ninguno",
    state: "Estado",
    active: "activo",
    disabled: "desactivado",
    no_password: "aún no usó el enlace",
    away_until: "ausente hasta",
    add: "Añadir a alguien",
    add_button: "Añadir y crear el enlace",
    no_role: "Marque al menos una función.",
    no_such_team: "No existe ese equipo. Los equipos están en threadline.toml, en [[team]].",
    save: "Guardar",
    saved: "Guardado.",
    link_title: "Un enlace para entregar",
    link_why: "Entregue este enlace en persona o con un mensaje que solo lea esa persona. Sirve para poner su contraseña, una sola vez y durante 24 horas. No se muestra de nuevo.",
    link_make: "Crear un enlace nuevo",
    link_hint: "para quien olvidó la contraseña; el enlace anterior deja de servir",
    disable: "Desactivar",
    disable_hint: "cierra sus sesiones en todas partes, al instante; sus registros se quedan",
    enable: "Activar",
    reset_factor: "Quitar el segundo factor",
    reset_factor_hint: "para quien perdió el teléfono: se quitan códigos, códigos de recuperación y llaves de acceso",
    end_sessions: "Cerrar todas sus sesiones",
    end_sessions_hint: "su contraseña no cambia",
    last_admin: "No quedaría nadie que pueda añadir personas. Primero haga administrador a otra persona.",
    sign_in: "Entrar",
    leave: "Ausencia",
    set_away: "Ausente hasta",
    back_at_work: "Ya volvió",
    back: "Todas las personas",
    table: "Qué puede ver y hacer cada función",
    yes: "sí",
    no: "no",
    yours: "la suya",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}

/// A role, as people call it.
pub fn role(ui: Ui, role: Role) -> &'static str {
    match role {
        Role::FrontDesk => ui.pick("Front desk", "Recepción"),
        Role::Clinical => ui.pick("Clinical", "Personal clínico"),
        Role::Manager => ui.pick("Manager", "Responsable"),
        Role::Admin => ui.pick("Admin", "Administrador"),
        Role::Auditor => ui.pick("Auditor", "Auditor"),
    }
}

/// Several roles, with commas between them.
pub fn roles(ui: Ui, roles: &Roles) -> String {
    roles.iter().map(|one| role(ui, one)).collect::<Vec<_>>().join(", ")
}

/// What somebody may do, in a sentence.
pub fn act(ui: Ui, act: Act) -> &'static str {
    match act {
        Act::ReadThreads => ui.pick(
            "Read the queue, threads, notes and calls, and search them",
            "Leer la cola, los hilos, las notas y las llamadas, y buscar en ellos",
        ),
        Act::WorkThreads => ui.pick(
            "Answer, write first, note, take, assign, tag, snooze, close and reopen threads",
            "Responder, escribir primero, anotar, tomar, asignar, etiquetar, posponer, cerrar y reabrir hilos",
        ),
        Act::ChangeConsent => ui.pick(
            "Opt a number out, record consent given at the desk, merge threads",
            "Dar de baja un número, anotar un consentimiento dado en recepción, unir hilos",
        ),
        Act::SeeDay => ui.pick(
            "See who is here, what waits, calls in progress and today's numbers",
            "Ver quién está, qué espera, las llamadas en curso y las cifras del día",
        ),
        Act::HandleCalls => ui.pick(
            "Answer waiting callers out of turn, offer them a text, call patients from their threads, change call backs",
            "Contestar fuera de turno a quien espera, ofrecerle un mensaje, llamar a pacientes desde su hilo, cambiar las llamadas pendientes",
        ),
        Act::HearMessages => {
            ui.pick("Hear voice messages, and say whose they are", "Oír mensajes de voz, y decir de quién son")
        }
        Act::DeleteMessages => ui.pick("Delete voice messages", "Borrar mensajes de voz"),
        Act::HearRecordings => ui.pick("Hear recorded calls", "Oír llamadas grabadas"),
        Act::ManageDesk => ui.pick(
            "Set others away: what waits for them goes back to the queue",
            "Marcar a otros como ausentes: lo que les espera vuelve a la cola",
        ),
        Act::SeeTree => ui.pick(
            "See the phone menu as a picture, hear its prompts, read why a call went where it went",
            "Ver el menú telefónico como dibujo, oír sus grabaciones, leer por qué una llamada fue adonde fue",
        ),
        Act::EditFiles => ui.pick(
            "Edit, try and publish the clinic's files, templates and prompts",
            "Editar, probar y publicar los archivos, plantillas y grabaciones de la clínica",
        ),
        Act::SeeSystem => ui.pick("See gateways and trunks, and test them", "Ver pasarelas y troncales, y probarlas"),
        Act::ManagePeople => ui.pick(
            "Add people, change their roles, end their sessions",
            "Añadir personas, cambiar sus funciones, cerrar sus sesiones",
        ),
        Act::ReadAudit => {
            ui.pick("Read and export the record of what was done", "Leer y exportar el registro de lo que se hizo")
        }
    }
}
