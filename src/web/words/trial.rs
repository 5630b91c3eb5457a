//! The words of a call that is tried: what the caller hears and gets, line by line, as a page and `threadline simulate`
//! tell it. What the caller does is written as commands, which are the same in every language.

use jiff::Zoned;

use super::{Ui, admin_why};
use crate::conversation::templates::TemplateError;
use crate::model::{Digit, Outcome, Strategy};

/// Its sentences. A line begins with who does something, or what a number is.
#[derive(Debug)]
pub struct Words {
    /// Letters of the longest of those.
    pub margin: usize,
    pub caller: &'static str,
    pub hears: &'static str,
    pub gets: &'static str,
    pub staff: &'static str,
    pub phones: &'static str,
    pub system: &'static str,
    pub outcome: &'static str,
    pub path: &'static str,
    pub waited: &'static str,
    pub keys: &'static str,
    /// Who calls, and when.
    pub call: fn(&str, &Zoned) -> String,
    pub presses: fn(Digit) -> String,
    pub hangs_up: &'static str,
    pub ends: &'static str,
    /// The menu goes round in circles.
    pub ends_lost: &'static str,
    pub music: fn(&str) -> String,
    pub ringing: &'static str,
    /// To whom, and what it says.
    pub text: fn(&str, &str) -> String,
    pub no_text: fn(&TemplateError) -> String,
    pub no_missed_call_text: &'static str,
    pub ring: fn(&str) -> String,
    /// In which line, for whom.
    pub waits: fn(&str, &str) -> String,
    pub ring_no_more: &'static str,
    pub tone: &'static str,
    /// Seconds, and where it was left.
    pub message: fn(f64, &str) -> String,
    pub no_message: &'static str,
    /// Whom, and who does.
    pub will_call_back: fn(&str, &str) -> String,
    pub answers: &'static str,
    pub is_busy: &'static str,
    pub does_not_answer: &'static str,
    pub cannot_be_reached: &'static str,
    pub has_too_many_waiting: &'static str,
    pub no_phone_rings: &'static str,
    pub nobody_speaks: &'static str,
    /// What was written, and the command before it.
    pub no_time: fn(&str, &str) -> String,
    pub no_place: &'static str,
    pub no_deed: fn(&str) -> String,
}

const EN: Words = Words {
    margin: 7,
    caller: "caller",
    hears: "hears",
    gets: "gets",
    staff: "staff",
    phones: "phones",
    system: "system",
    outcome: "outcome",
    path: "path",
    waited: "waited",
    keys: "keys",
    call: |from, at| format!("call from {from} at {}", at.strftime("%a %Y-%m-%d %H:%M %Z")),
    presses: |digit| format!("presses {digit}"),
    hangs_up: "hangs up",
    ends: "hangs up (hangup)",
    ends_lost: "hangs up (too_many_nodes)",
    music: |names| format!("music ({names})"),
    ringing: "ringing",
    text: |to, text| format!("a text to {to}: {text}"),
    no_text: |error| format!("no text: {error}"),
    no_missed_call_text: "no missed-call text: the number is unknown or takes none",
    ring: |who| format!("ring: {who}"),
    waits: |line, who| format!("the caller waits in line `{line}` for {who}"),
    ring_no_more: "ring no more",
    tone: "a tone; from here on it is recorded",
    message: |seconds, node| format!("gets a message of {seconds:.1} s ({node})"),
    no_message: "gets no message",
    will_call_back: |whom, who| format!("will call {whom} back: {who}"),
    answers: "answers",
    is_busy: "is busy",
    does_not_answer: "does not answer",
    cannot_be_reached: "cannot be reached",
    has_too_many_waiting: "has too many callers waiting",
    no_phone_rings: "no phone rings for the caller now",
    nobody_speaks: "nobody speaks now",
    no_time: |written, command| format!("\"{written}\" is no time; write {command} 5"),
    no_place: "no place in a line; write place 3",
    no_deed: |written| format!("\"{written}\" is nothing a caller can do; press a key, wait 5, hangup"),
};

const ES: Words = Words {
    margin: 9,
    caller: "llamante",
    hears: "oye",
    gets: "recibe",
    staff: "personal",
    phones: "teléfonos",
    system: "sistema",
    outcome: "resultado",
    path: "camino",
    waited: "esperó",
    keys: "teclas",
    call: |from, at| {
        const DAYS: [&str; 7] = ["lun", "mar", "mié", "jue", "vie", "sáb", "dom"];
        let day = DAYS[usize::from(at.weekday().to_monday_zero_offset().unsigned_abs())];
        format!("llamada de {from}, {day} {}", at.strftime("%Y-%m-%d %H:%M %Z"))
    },
    presses: |digit| format!("pulsa {digit}"),
    hangs_up: "cuelga",
    ends: "cuelga (fin del menú)",
    ends_lost: "cuelga (demasiados pasos: el menú da vueltas)",
    music: |names| format!("música ({names})"),
    ringing: "tono de llamada",
    text: |to, text| format!("un mensaje a {to}: {text}"),
    no_text: |error| match error {
        TemplateError::Unknown(name) => {
            format!("ningún mensaje: no existe el mensaje \"{name}\"; escríbalo en messages.toml")
        }
        TemplateError::NoValue { template, variable } => format!(
            "ningún mensaje: el mensaje \"{template}\" necesita {variable}, que no tiene valor; déselo o quítelo del mensaje"
        ),
    },
    no_missed_call_text: "ningún mensaje por llamada perdida: no se sabe el número o no los recibe",
    ring: |who| format!("suenan: {who}"),
    waits: |line, who| format!("quien llama espera en la fila `{line}` a {who}"),
    ring_no_more: "dejan de sonar",
    tone: "un tono; desde aquí se graba",
    message: |seconds, node| format!("recibe un mensaje de {seconds:.1} s ({node})"),
    no_message: "no recibe ningún mensaje",
    will_call_back: |whom, who| format!("devolverá la llamada a {whom}: {who}"),
    answers: "contesta",
    is_busy: "está ocupado",
    does_not_answer: "no contesta",
    cannot_be_reached: "no está localizable",
    has_too_many_waiting: "tiene demasiadas llamadas en espera",
    no_phone_rings: "ahora no suena ningún teléfono para quien llama",
    nobody_speaks: "ahora nadie habla",
    no_time: |written, command| format!("\"{written}\" no es un tiempo; escriba {command} 5"),
    no_place: "no es un puesto en la fila; escriba place 3",
    no_deed: |written| format!("\"{written}\" no es nada que haga quien llama; pulse una tecla, wait 5, hangup"),
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}

/// What became of the call: in English by its name in the records, as scripts read it.
pub fn outcome(ui: Ui, outcome: Outcome) -> String {
    match ui {
        Ui::En => {
            serde_json::to_value(outcome).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
        }
        Ui::Es => admin_why::outcome(ui, outcome).to_owned(),
    }
}

/// Several phones, and how they ring.
pub fn group(ui: Ui, phones: &[String], strategy: Strategy) -> String {
    let how = match strategy {
        _ if phones.len() == 1 => "",
        Strategy::All => ui.pick(" all at once", " todos a la vez"),
        Strategy::InTurn => ui.pick(" one after the other", " uno tras otro"),
        Strategy::LongestIdle => ui.pick(" who is idle longest first", " primero quien lleva más tiempo libre"),
    };
    format!("{}{how}", phones.join(", "))
}
