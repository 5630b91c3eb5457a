//! What the people of the filled demo write to each other: short scripts with gaps, in English and Spanish.

/// Who says a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// The patient.
    Patient,
    /// Somebody of the clinic.
    Staff,
}
use Says::{Patient as P, Staff as S};

/// A matter that people write about.
pub struct Topic {
    /// The `reason` of the `text` node.
    pub reason: &'static str,
    /// The tag that the front desk gives it.
    pub tag: &'static str,
    /// In English.
    pub en: &'static [(Says, &'static str)],
    /// In Spanish.
    pub es: &'static [(Says, &'static str)],
}

/// All of them.
pub const TOPICS: [Topic; 8] = [
    Topic {
        reason: "appointments",
        tag: "appointment",
        en: &[
            (P, "Hi, I need to move my appointment on {day}. Is {time} possible?"),
            (S, "Hello {first}, {time} is taken, but I have {day} at {other}. Would that work?"),
            (P, "Yes please, {other} works for me"),
            (S, "You are booked for {day} at {other} with {doctor}. Please come ten minutes early."),
            (P, "Thank you! Do I have to bring anything?"),
            (S, "Your insurance card and a list of your medicines, please. See you {day}!"),
        ],
        es: &[
            (P, "Hola, necesito cambiar mi cita del {day}. ¿Se puede a las {time}?"),
            (S, "Hola {first}, a las {time} está ocupado, pero tengo el {day} a las {other}. ¿Le sirve?"),
            (P, "Sí, por favor, a las {other} está bien"),
            (S, "Queda para el {day} a las {other} con {doctor}. Venga diez minutos antes, por favor."),
            (P, "¡Gracias! ¿Tengo que llevar algo?"),
            (S, "Su tarjeta del seguro y la lista de sus medicinas. ¡Hasta el {day}!"),
        ],
    },
    Topic {
        reason: "refills",
        tag: "refill",
        en: &[
            (P, "Could I get a refill of my {drug}? I have three tablets left"),
            (S, "Sure. Is {pharmacy} still your pharmacy?"),
            (P, "Yes, the one on {street}"),
            (S, "{doctor} has sent it, order {code}. It should be ready {day} after {time}."),
            (P, "They say they don't have it yet :("),
            (S, "I called them, it was on the wrong shelf. They have it now."),
            (P, "Got it, thanks a lot"),
        ],
        es: &[
            (P, "¿Me pueden renovar la receta de {drug}? Me quedan tres pastillas"),
            (S, "Claro. ¿Su farmacia sigue siendo {pharmacy}?"),
            (P, "Sí, la de la calle {street}"),
            (S, "{doctor} ya la envió, pedido {code}. Estará lista el {day} después de las {time}."),
            (P, "Dicen que todavía no la tienen"),
            (S, "Llamé a la farmacia y ya la tienen. Disculpe la molestia."),
            (P, "Muchas gracias"),
        ],
    },
    Topic {
        reason: "billing",
        tag: "billing",
        en: &[
            (P, "I got a bill for {amount} dollars but my insurance said the visit is covered"),
            (S, "Let me look, {first}. What is the invoice number at the top?"),
            (P, "It says {code}"),
            (S, "You are right, it was sent before the insurance answered. Please ignore it, a corrected one follows."),
            (P, "Great, that is a relief"),
        ],
        es: &[
            (P, "Me llegó una factura de {amount} dólares, pero el seguro dice que la visita está cubierta"),
            (S, "Déjeme ver, {first}. ¿Qué número de factura tiene arriba?"),
            (P, "Dice {code}"),
            (S, "Tiene razón, salió antes de la respuesta del seguro. No la pague, le llega otra corregida."),
            (P, "Qué alivio, gracias"),
        ],
    },
    Topic {
        reason: "general",
        tag: "exercise",
        en: &[
            (P, "My knee is swollen after the exercises, should I go on with them?"),
            (S, "Please pause the squats and cool the knee twice a day. I will ask {doctor}."),
            (P, "OK. It is not hot, only thick"),
            (S, "{doctor} says: rest until {day}, then only the first two exercises. If it gets worse, call us."),
            (P, "Will do. It is better already this morning"),
            (S, "Good to hear!"),
        ],
        es: &[
            (P, "Tengo la rodilla hinchada después de los ejercicios, ¿sigo con ellos?"),
            (S, "Deje las sentadillas y ponga frío dos veces al día. Le pregunto a {doctor}."),
            (P, "Bien. No está caliente, solo hinchada"),
            (S, "{doctor} dice: descanse hasta el {day} y luego solo los dos primeros. Si empeora, llámenos."),
            (P, "Así lo haré. Esta mañana ya está mejor"),
            (S, "¡Me alegro!"),
        ],
    },
    Topic {
        reason: "general",
        tag: "directions",
        en: &[
            (P, "Where can I park? I am coming with my mother who uses a wheelchair"),
            (S, "Behind the house, entrance from {street}. Two places beside the ramp are kept free."),
            (P, "Perfect. We may be five minutes late, traffic is terrible"),
            (S, "No problem, I will tell {doctor}. Drive safely."),
        ],
        es: &[
            (P, "¿Dónde puedo estacionar? Voy con mi mamá, que usa silla de ruedas"),
            (S, "Detrás de la casa, entrando por {street}. Hay dos lugares libres junto a la rampa."),
            (P, "Perfecto. Quizá lleguemos cinco minutos tarde por el tráfico"),
            (S, "No hay problema, le aviso a {doctor}. Maneje con cuidado."),
        ],
    },
    Topic {
        reason: "general",
        tag: "referral",
        en: &[
            (P, "Did the referral from my family doctor arrive? They faxed it {day}"),
            (S, "I can't see it yet. Which practice was it?"),
            (P, "The one on {street}, reference {code}"),
            (S, "Found it, it was filed under your maiden name. You are all set."),
            (P, "Wonderful, then I would like the first appointment that you have"),
            (S, "{day} at {time}?"),
            (P, "Yes!"),
        ],
        es: &[
            (P, "¿Llegó la orden de mi médico de cabecera? La mandaron por fax el {day}"),
            (S, "Todavía no la veo. ¿De qué consultorio era?"),
            (P, "El de la calle {street}, referencia {code}"),
            (S, "Ya la encontré, estaba con su apellido de soltera. Todo listo."),
            (P, "Estupendo, entonces quisiera la primera cita que tengan"),
            (S, "¿El {day} a las {time}?"),
            (P, "¡Sí!"),
        ],
    },
    Topic {
        reason: "results",
        tag: "results",
        en: &[
            (P, "Are my results back? I was there on {day}"),
            (S, "They came today. {doctor} would like to call you about them, is {time} good?"),
            (P, "Is it something bad?"),
            (S, "I can't say more by text, but it is nothing that can't wait until {time}."),
            (P, "ok, {time} is fine"),
        ],
        es: &[
            (P, "¿Ya están mis resultados? Estuve ahí el {day}"),
            (S, "Llegaron hoy. {doctor} quiere llamarle para explicarlos, ¿a las {time} está bien?"),
            (P, "¿Es algo malo?"),
            (S, "Por mensaje no puedo decir más, pero puede esperar hasta las {time}."),
            (P, "está bien, a las {time}"),
        ],
    },
    Topic {
        reason: "general",
        tag: "forms",
        en: &[
            (P, "I need a note for work for the days that I was at the clinic"),
            (S, "Of course. From which day to which?"),
            (P, "{day} only. My boss wants it before {other}"),
            (S, "It lies at the desk under {code}; you can pick it up until {time}."),
            (P, "Can my husband fetch it?"),
            (S, "Yes, if he brings your card. Have a nice day!"),
        ],
        es: &[
            (P, "Necesito un justificante para el trabajo por los días que estuve en la clínica"),
            (S, "Claro. ¿De qué día a qué día?"),
            (P, "Solo el {day}. Mi jefe lo quiere antes de las {other}"),
            (S, "Está en recepción con el número {code}; puede recogerlo hasta las {time}."),
            (P, "¿Puede ir mi esposo?"),
            (S, "Sí, si lleva la tarjeta de usted. ¡Buen día!"),
        ],
    },
];

/// What the desk notes for itself.
pub const NOTES: [&str; 6] = [
    "Prefers mornings. Bus line ends at 18:00.",
    "Insurance asked for the form again, sent {day} ({code}).",
    "Daughter {first} may speak for her, see the signed form.",
    "Called back twice, no answer. Try again {day}.",
    "Allergic to latex: tell {doctor} before the visit.",
    "Needs an interpreter for the long talk with {doctor}.",
];

/// First names.
pub const FIRST: [&str; 32] = [
    "Ana", "María", "José", "Luis", "Carmen", "Sofía", "Miguel", "Elena", "Mary", "James", "Linda", "Robert", "Susan",
    "David", "Karen", "Thomas", "Nancy", "Daniel", "Grace", "Kevin", "Aisha", "Omar", "Fatima", "Wei", "Mei",
    "Hiroshi", "Priya", "Arjun", "Olga", "Ivan", "Chloé", "Björn",
];

/// Last names.
pub const LAST: [&str; 36] = [
    "García",
    "López",
    "Martínez",
    "Hernández",
    "Núñez",
    "Peña",
    "Smith",
    "Johnson",
    "Williams",
    "Brown",
    "Jones",
    "Miller",
    "Davis",
    "Wilson",
    "Anderson",
    "Taylor",
    "Moore",
    "Jackson",
    "White",
    "Harris",
    "O'Brien",
    "Murphy",
    "Kelly",
    "Schmidt",
    "Müller",
    "Rossi",
    "Nguyen",
    "Tran",
    "Chen",
    "Wang",
    "Patel",
    "Singh",
    "Kim",
    "Park",
    "Novak",
    "Haddad",
];

/// Doctors, streets, medicines, pharmacies.
pub const DOCTORS: [&str; 5] = ["Dr. Rivera", "Dr. Cohen", "Dr. Okafor", "Ms. Lindqvist", "Mr. Tanaka"];
/// Streets.
pub const STREETS: [&str; 8] = ["Main", "Maple", "Oak", "Cedar", "Washington", "Lake", "Mill", "Sunset"];
/// Medicines.
pub const DRUGS: [&str; 10] = [
    "ibuprofen",
    "metformin",
    "lisinopril",
    "naproxen",
    "amoxicillin",
    "omeprazole",
    "gabapentin",
    "sertraline",
    "levothyroxine",
    "cyclobenzaprine",
];
/// Pharmacies.
pub const PHARMACIES: [&str; 4] = ["Corner Pharmacy", "Riverside Drugs", "Hillside Pharmacy", "the one at the market"];
/// Days, in English and Spanish.
pub const DAYS: [[&str; 5]; 2] =
    [["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"], ["lunes", "martes", "miércoles", "jueves", "viernes"]];
