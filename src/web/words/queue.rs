//! The words of the queue: [`crate::web::queue`], [`crate::web::presence`], [`crate::web::live`].

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Ui;
use crate::conversation::promise::Wait;
use crate::web::queue::Outcome;

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub title: &'static str,
    pub views: &'static str,
    pub mine: &'static str,
    pub unassigned: &'static str,
    pub team: &'static str,
    pub all: &'static str,
    pub snoozed: &'static str,
    pub closed: &'static str,
    pub and_more: &'static str,
    pub filter: &'static str,
    pub filter_tag: &'static str,
    pub filter_reason: &'static str,
    pub filter_team: &'static str,
    pub no_filter: &'static str,
    pub nothing_to_filter: &'static str,
    pub more_labels: &'static str,
    pub sound_on: &'static str,
    pub sound_off: &'static str,
    pub notify_on: &'static str,
    pub notify_off: &'static str,
    pub notify_blocked: &'static str,
    pub notify_ask: &'static str,
    pub empty_mine: &'static str,
    pub empty_unassigned: &'static str,
    pub empty_team: &'static str,
    pub empty_all: &'static str,
    pub empty_snoozed: &'static str,
    pub empty_closed: &'static str,
    pub empty_filter: &'static str,
    pub filter_gone: &'static str,
    pub more: &'static str,
    pub first: &'static str,
    pub select: &'static str,
    pub with_selected: &'static str,
    pub take: &'static str,
    pub close: &'static str,
    pub close_as: &'static str,
    pub snooze: &'static str,
    pub snooze_until: &'static str,
    pub in_an_hour: &'static str,
    pub next_opening: &'static str,
    pub in_a_week: &'static str,
    pub nothing_selected: &'static str,
    pub unread: &'static str,
    pub red_flag: &'static str,
    pub escalated: &'static str,
    pub undeliverable: &'static str,
    pub opened_unanswered: &'static str,
    pub follow_up: &'static str,
    pub follow_up_due: &'static str,
    pub waits_for_patient: &'static str,
    pub nobody_waits: &'static str,
    pub no_words: &'static str,
    pub automatic: &'static str,
    pub you: &'static str,
    pub nobody: &'static str,
    pub call: &'static str,
    pub text: &'static str,
    pub missed_call: &'static str,
    pub from_staff: &'static str,
    pub is_typing: &'static str,
    pub is_looking: &'static str,
    pub too_many_streams: &'static str,
    pub next_thread: &'static str,
    pub previous_thread: &'static str,
    pub select_thread: &'static str,
}

const EN: Words = Words {
    title: "Inbox",
    views: "Views",
    mine: "Mine",
    unassigned: "Unassigned",
    team: "My team",
    all: "All",
    snoozed: "Snoozed",
    closed: "Closed",
    and_more: "or more",
    filter: "Filter",
    filter_tag: "Tag",
    filter_reason: "About",
    filter_team: "Team",
    no_filter: "Show all",
    nothing_to_filter: "No tags, topics or teams are in use here.",
    more_labels: "These are used most. Search finds every tag.",
    sound_on: "Sound: on",
    sound_off: "Sound: off",
    notify_on: "Notifications: on",
    notify_off: "Notifications: off",
    notify_blocked: "This browser blocks notifications from here. Allow them in its settings for this site, then press again.",
    notify_ask: "on, but this browser has not been asked: press to allow",
    empty_mine: "You have answered everybody who is yours. Nicely done.",
    empty_unassigned: "Nobody is without somebody: all is assigned. Enjoy the quiet.",
    empty_team: "Your team has no open threads. Well done, all.",
    empty_all: "No open threads. The whole clinic is caught up.",
    empty_snoozed: "Nothing is snoozed.",
    empty_closed: "Nothing has been closed yet.",
    empty_filter: "Nothing here fits this filter.",
    filter_gone: "No thread here fits that filter any more, so you see the whole list.",
    more: "More",
    first: "Back to the top of the list",
    select: "Select",
    with_selected: "With the selected:",
    take: "Take",
    close: "Close",
    close_as: "Close as",
    snooze: "Snooze",
    snooze_until: "Snooze until",
    in_an_hour: "in an hour",
    next_opening: "the clinic opens next",
    in_a_week: "in a week",
    nothing_selected: "Select at least one thread, then choose what to do with it.",
    unread: "New",
    red_flag: "Red flag",
    escalated: "Escalated",
    undeliverable: "Not delivered",
    opened_unanswered: "opened, not answered",
    follow_up: "follow up",
    follow_up_due: "Follow up now",
    waits_for_patient: "waits for patient",
    nobody_waits: "nobody waits",
    no_words: "No words yet",
    automatic: "Automatic",
    you: "You",
    nobody: "unassigned",
    call: "Call",
    text: "Text",
    missed_call: "Missed call",
    from_staff: "We wrote first",
    is_typing: "is typing…",
    is_looking: "is looking",
    too_many_streams: "Too many inboxes are open at once. Close one on another device; this page still works, reload it for what is new.",
    next_thread: "Next thread",
    previous_thread: "Previous thread",
    select_thread: "Select the thread",
};

const ES: Words = Words {
    title: "Bandeja",
    views: "Vistas",
    mine: "Míos",
    unassigned: "Sin asignar",
    team: "Mi equipo",
    all: "Todos",
    snoozed: "Pospuestos",
    closed: "Cerrados",
    and_more: "o más",
    filter: "Filtrar",
    filter_tag: "Etiqueta",
    filter_reason: "Asunto",
    filter_team: "Equipo",
    no_filter: "Mostrar todo",
    nothing_to_filter: "Aquí no se usan etiquetas, asuntos ni equipos.",
    more_labels: "Estos son los más usados. La búsqueda encuentra cualquier etiqueta.",
    sound_on: "Sonido: sí",
    sound_off: "Sonido: no",
    notify_on: "Avisos: sí",
    notify_off: "Avisos: no",
    notify_blocked: "Este navegador bloquea los avisos de aquí. Permítalos en su configuración para este sitio y pulse otra vez.",
    notify_ask: "sí, pero este navegador no ha preguntado: pulse para permitir",
    empty_mine: "Ha contestado a todos los suyos. Buen trabajo.",
    empty_unassigned: "Nadie está sin atender. Disfrute de la calma.",
    empty_team: "Su equipo no tiene hilos abiertos. Buen trabajo de todos.",
    empty_all: "No hay hilos abiertos. Toda la clínica está al día.",
    empty_snoozed: "No hay nada pospuesto.",
    empty_closed: "Todavía no se ha cerrado nada.",
    empty_filter: "Aquí nada coincide con este filtro.",
    filter_gone: "Ningún hilo coincide ya con ese filtro, así que ve la lista entera.",
    more: "Más",
    first: "Volver al principio de la lista",
    select: "Seleccionar",
    with_selected: "Con los seleccionados:",
    take: "Tomar",
    close: "Cerrar",
    close_as: "Cerrar como",
    snooze: "Posponer",
    snooze_until: "Posponer hasta",
    in_an_hour: "dentro de una hora",
    next_opening: "que abra la clínica",
    in_a_week: "dentro de una semana",
    nothing_selected: "Seleccione al menos un hilo y elija qué hacer con él.",
    unread: "Nuevo",
    red_flag: "Alerta",
    escalated: "Derivado",
    undeliverable: "No entregado",
    opened_unanswered: "abierto, sin contestar",
    follow_up: "volver a mirar",
    follow_up_due: "Volver a mirar ya",
    waits_for_patient: "espera al paciente",
    nobody_waits: "nadie espera",
    no_words: "Aún sin palabras",
    automatic: "Automático",
    you: "Usted",
    nobody: "sin asignar",
    call: "Llamada",
    text: "Mensaje",
    missed_call: "Llamada perdida",
    from_staff: "Escribimos primero",
    is_typing: "está escribiendo…",
    is_looking: "está mirando",
    too_many_streams: "Hay demasiadas bandejas abiertas a la vez. Cierre una en otro equipo; esta página sigue sirviendo, recárguela para ver lo nuevo.",
    next_thread: "Hilo siguiente",
    previous_thread: "Hilo anterior",
    select_thread: "Seleccionar el hilo",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}

/// So long is a wait said by its length; a longer one by when it began, which is what people then want to know.
const SAID_BY_LENGTH: Duration = Duration::from_secs(2 * 3600);

/// A length of opening hours: `6 min`, `30 h`. Never days: a day of work is no day of the calendar.
pub fn open_length(length: Duration) -> String {
    let minutes = length.as_secs() / 60;
    if minutes < 120 { format!("{} min", minutes.max(1)) } else { format!("{} h", minutes / 60) }
}

/// A length of time by the clock as people say it: `6 min`, `3 h`, `2 days`. Under a minute is a minute.
pub fn length(ui: Ui, length: Duration) -> String {
    let minutes = length.as_secs() / 60;
    match minutes {
        0 => "1 min".to_owned(),
        1..=119 => format!("{minutes} min"),
        120..=2879 => format!("{} h", minutes / 60),
        _ => format!("{} {}", minutes / 1440, ui.pick("days", "días")),
    }
}

/// Where a wait stands: "answer within 6 min", or by a time of day where the clinic opens only then; and the same in
/// brief, for where there is no room.
pub fn wait(ui: Ui, wait: Wait, due: &str, is_open: bool) -> (String, String) {
    match wait {
        Wait::Late { by } if by < SAID_BY_LENGTH => {
            let by = open_length(by);
            let late = ui.pick(format!("{by} late"), format!("{by} tarde"));
            (late.clone(), late)
        }
        Wait::Late { .. } => (
            ui.pick(format!("late since {due}"), format!("tarde desde: {due}")),
            ui.pick(format!("late: {due}"), format!("tarde: {due}")),
        ),
        Wait::Fresh { left } | Wait::Soon { left } if is_open && left < Duration::from_secs(3600) => {
            let left = open_length(left);
            (
                ui.pick(format!("answer within {left}"), format!("conteste en {left}")),
                ui.pick(format!("{left} left"), format!("quedan {left}")),
            )
        }
        Wait::Fresh { .. } | Wait::Soon { .. } => (
            ui.pick(format!("answer by {due}"), format!("conteste antes de {due}")),
            ui.pick(format!("by {due}"), format!("hasta {due}")),
        ),
    }
}

/// "waiting for 9 min", by the clock; or since when (`began`), if that is long ago.
pub fn waiting(ui: Ui, for_so_long: Duration, began: &str) -> String {
    if for_so_long >= SAID_BY_LENGTH {
        return ui.pick(format!("waiting since {began}"), format!("espera desde: {began}"));
    }
    let long = length(ui, for_so_long);
    ui.pick(format!("waiting for {long}"), format!("espera desde hace {long}"))
}

/// "until Tue 8:15 AM"
pub fn until(ui: Ui, moment: &str) -> String {
    ui.pick(format!("until {moment}"), format!("hasta {moment}"))
}

/// "closed 2:14 PM"
pub fn closed_at(ui: Ui, moment: &str) -> String {
    ui.pick(format!("closed {moment}"), format!("cerrado {moment}"))
}

/// "3 threads done; 1 left: it has a red flag", after work on several.
pub fn done(ui: Ui, outcome: &Outcome) -> String {
    let one = |count: usize, one: [&str; 2], many: [&str; 2]| {
        let [en, es] = if count == 1 { one } else { many };
        format!("{count} {}", ui.pick(en, es))
    };
    let mut said = vec![one(outcome.done, ["thread done", "hilo hecho"], ["threads done", "hilos hechos"])];
    let left = [
        (
            outcome.flagged,
            ["left: it has a red flag", "queda: tiene una alerta"],
            ["left: they have a red flag", "quedan: tienen una alerta"],
        ),
        (
            outcome.waiting,
            ["left: its patient waits", "queda: su paciente espera"],
            ["left: their patients wait", "quedan: sus pacientes esperan"],
        ),
        (
            outcome.taken,
            ["left: a colleague has taken it", "queda: alguien la tomó"],
            ["left: colleagues have taken them", "quedan: alguien las tomó"],
        ),
        (outcome.gone, ["closed meanwhile", "cerrado entretanto"], ["closed meanwhile", "cerrados entretanto"]),
    ];
    said.extend(
        left.into_iter().filter(|(count, ..)| *count > 0).map(|(count, single, many)| one(count, single, many)),
    );
    said.join("; ")
}

/// A moment as people say it today: `2:14 PM`, `Tue 2:14 PM` within a week, else `Nov 2`, with the year if it is another.
pub fn moment(ui: Ui, at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (there, today) = (at.to_zoned(zone.clone()), now.to_zoned(zone.clone()).date());
    let time = match ui {
        Ui::En => there.strftime("%-I:%M %p").to_string(),
        Ui::Es => there.strftime("%-H:%M").to_string(),
    };
    let days = (there.date() - today).get_days().abs();
    let day = there.date();
    match days {
        0 => time,
        1..=6 => format!("{} {time}", weekday(ui, day.weekday())),
        _ if day.year() == today.year() => ui.pick(
            format!("{} {}", month(ui, day.month()), day.day()),
            format!("{} {}", day.day(), month(ui, day.month())),
        ),
        _ => ui.pick(
            format!("{} {}, {}", month(ui, day.month()), day.day(), day.year()),
            format!("{} {} {}", day.day(), month(ui, day.month()), day.year()),
        ),
    }
}

fn weekday(ui: Ui, day: jiff::civil::Weekday) -> &'static str {
    let at = usize::from(day.to_monday_zero_offset().unsigned_abs());
    ui.pick(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], ["lun", "mar", "mié", "jue", "vie", "sáb", "dom"])
        [at % 7]
}

fn month(ui: Ui, month: i8) -> &'static str {
    let at = usize::from(month.unsigned_abs()).saturating_sub(1);
    let names = ui.pick(
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
        ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"],
    );
    names[at % 12]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_counted_and_says_why() {
        let said = |ui, outcome: Outcome| done(ui, &outcome);
        assert_eq!(said(Ui::En, Outcome { done: 1, ..Outcome::default() }), "1 thread done");
        let left = Outcome { done: 3, flagged: 1, waiting: 2, ..Outcome::default() };
        assert_eq!(said(Ui::En, left), "3 threads done; 1 left: it has a red flag; 2 left: their patients wait");
        assert_eq!(said(Ui::Es, left), "3 hilos hechos; 1 queda: tiene una alerta; 2 quedan: sus pacientes esperan");
    }

    #[test]
    fn a_long_wait_is_said_by_when_it_began() {
        let late = |minutes: u64, due| wait(Ui::En, Wait::Late { by: Duration::from_secs(60 * minutes) }, due, true).0;
        assert_eq!(late(12, "2:14 PM"), "12 min late");
        assert_eq!(late(12_000, "Oct 2"), "late since Oct 2");
        assert_eq!(waiting(Ui::En, Duration::from_secs(540), "2:14 PM"), "waiting for 9 min");
        assert_eq!(waiting(Ui::Es, Duration::from_secs(86_400), "lun 14:14"), "espera desde: lun 14:14");
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let zone = TimeZone::get("America/New_York").unwrap();
        let now: Timestamp = "2026-11-03T16:00:00Z".parse().unwrap();
        let say = |at: &str| moment(Ui::En, at.parse().unwrap(), now, &zone);
        assert_eq!(say("2026-11-03T19:14:00Z"), "2:14 PM");
        assert_eq!(say("2026-11-02T19:14:00Z"), "Mon 2:14 PM");
        assert_eq!(say("2026-10-02T19:14:00Z"), "Oct 2");
        assert_eq!(say("2025-10-02T19:14:00Z"), "Oct 2, 2025");
        assert_eq!(moment(Ui::Es, "2026-11-02T19:14:00Z".parse().unwrap(), now, &zone), "lun 14:14");
        let open = |hours: u64| open_length(Duration::from_secs(3600 * hours));
        assert_eq!([open(1), open(50)], ["60 min", "50 h"], "two days of the calendar are a week of work");
        let long = |seconds| length(Ui::En, Duration::from_secs(seconds));
        assert_eq!([long(5), long(6 * 60), long(3 * 3600 + 59), long(50 * 3600)], ["1 min", "6 min", "3 h", "2 days"]);
    }
}
