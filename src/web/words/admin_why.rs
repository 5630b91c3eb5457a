//! The words of [`crate::web::admin::why`].

use super::Ui;
use crate::model::{EndedBy, Outcome};
use crate::tree::Status;

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub title: &'static str,
    pub came: &'static str,
    pub answered: &'static str,
    pub ended: &'static str,
    pub not_answered: &'static str,
    pub running: &'static str,
    pub outcome: &'static str,
    pub ended_by: &'static str,
    pub trunk: &'static str,
    pub keys: &'static str,
    pub no_keys: &'static str,
    pub hidden_keys: &'static str,
    pub thread: &'static str,
    pub no_path: &'static str,
    pub tree_same: &'static str,
    pub tree_changed: &'static str,
    pub tree_lost: &'static str,
    pub tree_unknown: &'static str,
    pub words_today: &'static str,
    pub heard: &'static str,
    pub wrong: &'static str,
    pub gone: &'static str,
    pub pressed: &'static str,
    pub no_key: &'static str,
    pub only_way: &'static str,
    pub sent: &'static str,
    pub refused: &'static str,
    pub asked: &'static str,
    pub given: &'static str,
    pub not_given: &'static str,
    pub no_person: &'static str,
    pub unknown: &'static str,
    pub last: &'static str,
    pub never_known: &'static str,
}

const EN: Words = Words {
    title: "Why did this call go there?",
    came: "Came in",
    answered: "Answered",
    ended: "Ended",
    not_answered: "not answered",
    running: "still in progress; its way is told when it is over",
    outcome: "What became of it",
    ended_by: "Ended by",
    trunk: "Trunk",
    keys: "Keys",
    no_keys: "none",
    hidden_keys: "a • is a digit of a telephone number, which is not recorded here",
    thread: "Open its thread",
    no_path: "The call never came to the phone menu, or the record of its way is lost.",
    tree_same: "The phone menu is today as it was then.",
    tree_changed: "The phone menu has been changed since. This is told by the one that was in force then.",
    tree_lost: "The phone menu has been changed since, and the one of then cannot be read with today's recordings and messages. This is told by today's: what does not fit is unknown.",
    tree_unknown: "It is not known what the phone menu was then. This is told by today's: what does not fit is unknown.",
    words_today: "Words are those of today's recordings.",
    heard: "Heard",
    wrong: "Pressed, but it offered nothing:",
    gone: "There is no such place in the phone menu.",
    pressed: "The caller pressed",
    no_key: "No key came that was offered here, so the call went on by itself.",
    only_way: "It goes on by itself.",
    sent: "The text could be sent.",
    refused: "No text could be sent: the number takes none, or has opted out.",
    asked: "The caller's own number is hidden or takes no texts, so another was asked for.",
    given: "The caller typed a number and confirmed it.",
    not_given: "The caller gave no number.",
    no_person: "Nobody came to the phone.",
    unknown: "Why it went on is not known.",
    last: "The call ended here.",
    never_known: "not known",
};

const ES: Words = Words {
    title: "¿Por qué esta llamada fue allí?",
    came: "Entró",
    answered: "Atendida",
    ended: "Terminó",
    not_answered: "sin atender",
    running: "sigue en curso; su camino se cuenta cuando termine",
    outcome: "En qué quedó",
    ended_by: "La terminó",
    trunk: "Troncal",
    keys: "Teclas",
    no_keys: "ninguna",
    hidden_keys: "cada • es una cifra de un número de teléfono, que aquí no se guarda",
    thread: "Abrir su hilo",
    no_path: "La llamada no llegó al menú telefónico, o se perdió el registro de su camino.",
    tree_same: "El menú telefónico es hoy como era entonces.",
    tree_changed: "El menú telefónico ha cambiado desde entonces. Esto se cuenta según el que estaba en vigor.",
    tree_lost: "El menú telefónico ha cambiado desde entonces y el de antes no se puede leer con las grabaciones y mensajes de hoy. Esto se cuenta según el de hoy: lo que no encaja no se sabe.",
    tree_unknown: "No se sabe cómo era entonces el menú telefónico. Esto se cuenta según el de hoy: lo que no encaja no se sabe.",
    words_today: "Las palabras son las de las grabaciones de hoy.",
    heard: "Oyó",
    wrong: "Pulsó, pero no ofrecía nada:",
    gone: "No existe ese lugar en el menú telefónico.",
    pressed: "Quien llamaba pulsó",
    no_key: "No llegó ninguna tecla de las ofrecidas, y la llamada siguió sola.",
    only_way: "Sigue por sí sola.",
    sent: "El mensaje se pudo enviar.",
    refused: "No se pudo enviar un mensaje: el número no los recibe o está dado de baja.",
    asked: "El número de quien llamaba está oculto o no recibe mensajes, y se le pidió otro.",
    given: "Quien llamaba tecleó un número y lo confirmó.",
    not_given: "Quien llamaba no dio ningún número.",
    no_person: "Nadie se puso al teléfono.",
    unknown: "No se sabe por qué siguió por ahí.",
    last: "La llamada terminó aquí.",
    never_known: "no se sabe",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}

/// What the clock said.
pub fn status(ui: Ui, status: Status) -> &'static str {
    match status {
        Status::Open => ui.pick("The clinic was open.", "La clínica estaba abierta."),
        Status::Closed => ui.pick("The clinic was closed.", "La clínica estaba cerrada."),
        Status::Holiday => {
            ui.pick("It was a day on which the clinic is closed.", "Era un día de cierre de la clínica.")
        }
    }
}

/// What became of a call.
pub fn outcome(ui: Ui, outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Texted => ui.pick("was texted", "recibió un mensaje"),
        Outcome::Served => ui.pick("spoke with a person", "habló con una persona"),
        Outcome::Voicemail => ui.pick("left a voice message", "dejó un mensaje de voz"),
        Outcome::Callback => ui.pick("will be called back", "se le devolverá la llamada"),
        Outcome::Transferred => ui.pick("was put through elsewhere", "se pasó a otro número"),
        Outcome::Informed => ui.pick("heard what they asked for", "oyó lo que pidió"),
        Outcome::Abandoned => ui.pick("hung up before being helped", "colgó antes de ser atendido"),
        Outcome::Missed => ui.pick("left without having been helped", "se fue sin ser atendido"),
        Outcome::Rejected => ui.pick("was refused", "se rechazó"),
        Outcome::Failed => ui.pick("failed: something of ours broke", "falló: algo nuestro se rompió"),
        Outcome::Interrupted => ui.pick("was cut by a restart", "la cortó un reinicio"),
    }
}

/// Who ended a call.
pub fn ended_by(ui: Ui, who: EndedBy) -> &'static str {
    match who {
        EndedBy::Caller => ui.pick("the caller", "quien llamaba"),
        EndedBy::System => ui.pick("the phone menu", "el menú telefónico"),
        EndedBy::Staff => ui.pick("a person of the clinic", "alguien de la clínica"),
        EndedBy::Network => ui.pick("the network", "la red"),
    }
}

/// Why a call ended, by its name in the record; none: it is what the other side said, or a matter of the network's.
pub fn cause(ui: Ui, kept: &str) -> Option<&'static str> {
    Some(match kept {
        "hangup" => ui.pick("hung up", "colgó"),
        "too_many_nodes" => ui.pick("the phone menu goes round in circles", "el menú telefónico da vueltas"),
        "transferred" => ui.pick("handed on to another phone", "se pasó a otro teléfono"),
        "cancelled" => ui.pick("before it was answered", "antes de que se atendiera"),
        "busy" => ui.pick("busy", "ocupado"),
        "refused" | "rejected" => ui.pick("refused", "rechazada"),
        "no answer" => ui.pick("nobody answered", "nadie contestó"),
        "not reachable" => ui.pick("the phone could not be reached", "no se pudo llegar al teléfono"),
        "callback_failed" => ui.pick("the call back could not be made", "no se pudo devolver la llamada"),
        "rtp_timeout" => ui.pick("no sound came any more", "dejó de llegar sonido"),
        "shutdown" => ui.pick("the service was being stopped", "el servicio se estaba parando"),
        "restart" => ui.pick("the service was restarted", "el servicio se reinició"),
        _ => return None,
    })
}
