//! The words of [`crate::web::help`].

use super::Ui;

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub title: &'static str,
    pub contents: &'static str,
    pub queue: &'static str,
    pub queue_says: &'static [&'static str],
    pub states: &'static str,
    pub states_are: &'static [(&'static str, &'static str)],
    pub keys: &'static str,
    pub keys_say: &'static str,
    pub show_keys: &'static str,
    pub keys_are: &'static [(&'static str, &'static str)],
    pub calls: &'static str,
    pub calls_say: &'static [&'static str],
    pub search: &'static str,
    pub search_says: &'static [&'static str],
    pub roles: &'static str,
    pub roles_say: &'static str,
    pub numbers: &'static str,
    pub numbers_are: &'static [(&'static str, &'static str)],
    pub privacy: &'static str,
    pub privacy_says: &'static [&'static str],
}

const EN: Words = Words {
    title: "Help",
    contents: "On this page",
    queue: "How the queue works",
    queue_says: &[
        "One conversation with a patient is one thread, whatever they used: a call and a key, a missed call, a text. While it is open, everything new goes into it.",
        "Words that may mean danger come first. Then comes whoever has waited longest for an answer. Threads in which the patient has the word come last.",
        "Whoever answers a thread that is nobody's has it from then on. Others see that you are in a thread, and that you are writing.",
        "A text can be taken back for a few seconds after it was sent. If somebody else was faster, you are told before yours goes.",
        "Where you write, in a thread or a new text, / offers ready messages, a text can be sent later, and what you have begun is kept. If the patient writes before you have sent a new text, it is your draft in the thread.",
        "STOP, START and HELP are obeyed and answered by the house itself; nobody needs to do anything.",
    ],
    states: "What the states mean",
    states_are: &[
        ("Open", "Somebody owes somebody an answer."),
        ("Waiting", "Open, and it is the patient who waits. The time says since when."),
        ("Snoozed", "Out of sight until a time, or until the patient writes."),
        ("Closed", "Done. If they write again soon, it opens again; later, a new thread begins."),
        ("Escalated", "Given to clinical staff."),
        ("Undeliverable", "The newest text to the patient did not arrive; the thread says why. Call them."),
        (
            "Unknown",
            "The text was handed over and the gateway cannot say what became of it. Ask before you send it again.",
        ),
    ],
    keys: "Keys",
    keys_say: "Press ? on any page to see what can be done there by a key. Keys without Ctrl can be switched off in that list.",
    show_keys: "Show the keys of this page",
    keys_are: &[
        ("Ctrl K", "find a thread, a person, a template, or do something"),
        ("Ctrl Enter", "send what is written"),
        ("/", "search; in a text that you write, ready messages"),
        ("g i", "inbox"),
        ("g n", "new text"),
        ("g p", "who is on the phone"),
        ("g d", "the day"),
        ("g h", "this page"),
        ("Esc", "leave a field, close a window"),
    ],
    calls: "How calls work here",
    calls_say: &[
        "Say on your account's page which phone is yours. It rings when you press Answer beside a caller who waits, whoever's turn it is, or Call in a thread.",
        "Offer a text lets a caller who waits hear the offer at once; a key of theirs takes it. Nobody is texted without their key.",
        "Call rings your phone first, then the patient's, which shows the clinic's number. Once they answer, the conversation counts as moved to the phone.",
        "A voice message stands in the thread of its number, and everybody sees who heard it first. Messages of callers who hid their number are under Voice messages, until somebody says whose they are. A message is no consent to texts.",
        "Whoever asked to be called back is called by itself when their turn or time has come, staff first, twice at most. The thread says when, and lets you do it now or call it off.",
        "If somebody calls an emergency number from one of the clinic's phones, everybody is told at the top of every page.",
    ],
    search: "How search works",
    search_says: &[
        "All words must be there; beginnings are enough, capitals and accents do not matter. \"Quotes\" keep words together.",
        "Four digits of a number find it, however it is written: 0142, (212) 555-0142.",
        "The newest comes first. If a search would take long, it stops and says up to when it has looked.",
    ],
    roles: "Who may do what",
    roles_say: "Each role has what its work needs and no more. A person with several roles may do what any of them may.",
    numbers: "How the numbers are counted",
    numbers_are: &[
        (
            "Threads opened",
            "Conversations that began that day: by a key in a call, after a missed call, by a text, or by us. A conversation that goes on counts once, on the day it was opened.",
        ),
        (
            "Time to the first answer",
            "From the patient's first text to the first text that a person wrote. Only the clinic's opening hours count. Automatic texts are no answer. The middle one of the day is shown: half were quicker.",
        ),
        (
            "Moved to voice",
            "Conversations that ended on the phone after all, because somebody called the patient from the thread or they called us about it.",
        ),
    ],
    privacy: "Privacy",
    privacy_says: &[
        "Texts are not encrypted on their way. Write only what is needed, and nothing that others should not read on the phone's screen.",
        "Look only at threads that your work needs. Every look, search and export is on record with your name.",
        "What you search for is not recorded, nor does it stand in the browser's history.",
        "Without consent nothing is sent. Consent is given by a key in a call, by texting us, or at the desk after hearing the words. STOP ends it at once, and only START lifts that.",
        "Sign out on a shared computer. An unused session ends by itself.",
        "In an emergency nobody should text: tell them to call 911.",
    ],
};

const ES: Words = Words {
    title: "Ayuda",
    contents: "En esta página",
    queue: "Cómo funciona la cola",
    queue_says: &[
        "Una conversación con un paciente es un hilo, venga de donde venga: una llamada y una tecla, una llamada perdida, un mensaje. Mientras está abierto, todo lo nuevo va a él.",
        "Primero van las palabras que pueden indicar peligro. Después, quien lleva más tiempo esperando respuesta. Al final, los hilos en los que le toca hablar al paciente.",
        "Quien responde un hilo que no es de nadie se queda con él. Los demás ven que usted está en un hilo y que está escribiendo.",
        "Un mensaje se puede recuperar unos segundos después de enviarlo. Si otra persona fue más rápida, se le avisa antes de que salga el suyo.",
        "Donde escribe, en un hilo o en un mensaje nuevo, / ofrece plantillas, un mensaje se puede enviar más tarde y lo empezado se conserva. Si el paciente escribe antes de que usted envíe un mensaje nuevo, es su borrador en el hilo.",
        "ALTO, START y AYUDA se obedecen y se contestan solos; nadie tiene que hacer nada.",
    ],
    states: "Qué significan los estados",
    states_are: &[
        ("Abierto", "Alguien le debe una respuesta a alguien."),
        ("En espera", "Abierto, y es el paciente quien espera. La hora dice desde cuándo."),
        ("Pospuesto", "Fuera de la vista hasta una hora, o hasta que el paciente escriba."),
        ("Cerrado", "Terminado. Si escribe pronto, se vuelve a abrir; más tarde empieza un hilo nuevo."),
        ("Derivado", "Pasado al personal clínico."),
        ("No entregado", "El último mensaje al paciente no llegó; el hilo dice por qué. Llámele."),
        (
            "Desconocido",
            "El mensaje se entregó a la pasarela y esta no sabe qué fue de él. Pregunte antes de enviarlo otra vez.",
        ),
    ],
    keys: "Teclas",
    keys_say: "Pulse ? en cualquier página para ver qué se puede hacer allí con una tecla. Las teclas sin Ctrl se pueden apagar en esa lista.",
    show_keys: "Mostrar las teclas de esta página",
    keys_are: &[
        ("Ctrl K", "buscar un hilo, una persona, una plantilla, o hacer algo"),
        ("Ctrl Enter", "enviar lo escrito"),
        ("/", "buscar; en un mensaje que escribe, plantillas"),
        ("g i", "bandeja"),
        ("g n", "mensaje nuevo"),
        ("g p", "quién está al teléfono"),
        ("g d", "el día"),
        ("g h", "esta página"),
        ("Esc", "salir de un campo, cerrar una ventana"),
    ],
    calls: "Cómo funcionan las llamadas",
    calls_say: &[
        "Diga en la página de su cuenta cuál es su teléfono. Suena cuando pulsa Contestar junto a quien espera, sea de quien sea el turno, o Llamar en un hilo.",
        "Ofrecer mensaje hace que quien espera oiga la oferta al momento; una tecla suya la acepta. A nadie se le escribe sin su tecla.",
        "Llamar hace sonar primero su teléfono y después el del paciente, que muestra el número de la clínica. Cuando contesta, la conversación cuenta como pasada al teléfono.",
        "Un mensaje de voz está en el hilo de su número, y todos ven quién lo oyó primero. Los de quienes ocultaron su número están en Mensajes de voz, hasta que alguien diga de quién son. Un mensaje de voz no es un consentimiento para escribir.",
        "A quien pidió que le llamen se le llama solo cuando llega su turno o su hora, primero al personal, dos veces como mucho. El hilo dice cuándo, y permite hacerlo ya o cancelarlo.",
        "Si alguien llama a un número de emergencia desde un teléfono de la clínica, se avisa a todos arriba de cada página.",
    ],
    search: "Cómo funciona la búsqueda",
    search_says: &[
        "Deben estar todas las palabras; basta su principio, y no importan mayúsculas ni acentos. Las \"comillas\" las mantienen juntas.",
        "Cuatro cifras de un número lo encuentran, se escriba como se escriba: 0142, (212) 555-0142.",
        "Lo más nuevo va primero. Si una búsqueda fuera a tardar, se detiene y dice hasta cuándo ha mirado.",
    ],
    roles: "Quién puede hacer qué",
    roles_say: "Cada función tiene lo que su trabajo necesita y nada más. Quien tiene varias puede lo que pueda cualquiera de ellas.",
    numbers: "Cómo se cuentan las cifras",
    numbers_are: &[
        (
            "Hilos abiertos",
            "Conversaciones que empezaron ese día: por una tecla en una llamada, tras una llamada perdida, por un mensaje o por nosotros. Una conversación que sigue cuenta una vez, el día en que se abrió.",
        ),
        (
            "Tiempo hasta la primera respuesta",
            "Desde el primer mensaje del paciente hasta el primero que escribió una persona. Solo cuentan las horas de apertura. Los mensajes automáticos no son respuesta. Se muestra la del medio: la mitad fue más rápida.",
        ),
        (
            "Pasados a voz",
            "Conversaciones que al final terminaron por teléfono, porque alguien llamó al paciente desde el hilo o él llamó por lo mismo.",
        ),
    ],
    privacy: "Privacidad",
    privacy_says: &[
        "Los mensajes no van cifrados. Escriba solo lo necesario, y nada que otros no deban leer en la pantalla del teléfono.",
        "Mire solo los hilos que su trabajo necesita. Cada vista, búsqueda y exportación queda registrada con su nombre.",
        "Lo que busca no se registra, ni queda en el historial del navegador.",
        "Sin consentimiento no se envía nada. Se da con una tecla en una llamada, escribiéndonos, o en recepción después de oír las palabras. ALTO lo termina al momento, y solo START lo levanta.",
        "Salga de su cuenta en un equipo compartido. Una sesión sin uso termina sola.",
        "En una emergencia nadie debe escribir: diga que llamen al 911.",
    ],
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}
