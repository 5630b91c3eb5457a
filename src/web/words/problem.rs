//! The words of [`crate::web::problem`].

use super::Ui;

/// Its sentences.
#[derive(Debug)]
pub struct Words {
    pub title: &'static str,
    pub back: &'static str,
    pub not_found: &'static str,
    pub forbidden: &'static str,
    pub foreign_form: &'static str,
    pub signed_out: &'static str,
    pub too_often: &'static str,
    pub too_slow: &'static str,
    pub store: &'static str,
    pub broken: &'static str,
}

const EN: Words = Words {
    title: "That did not work",
    back: "Back to the inbox",
    not_found: "There is nothing here. It may have been merged or removed.",
    forbidden: "Your role does not include this. Ask an admin of the clinic if you need it.",
    foreign_form: "This form did not come from this site's own pages, so nothing was done. Go back, reload, try again.",
    signed_out: "You are signed out, so nothing was done. If you wrote something, go back and copy it before you sign in again.",
    too_often: "Too many tries. Wait a minute and try again.",
    too_slow: "What you sent took too long to arrive, so nothing was done. Look at your connection and try again.",
    store: "The database cannot be written at the moment, so nothing was done. Tell your IT staff; the log says why.",
    broken: "Something is wrong on our side. Nothing was done. Tell your IT staff; the log says more.",
};

const ES: Words = Words {
    title: "No se pudo hacer",
    back: "Volver a la bandeja",
    not_found: "Aquí no hay nada. Puede que se haya unido a otro hilo o se haya quitado.",
    forbidden: "Su función no incluye esto. Pídalo a un administrador de la clínica si lo necesita.",
    foreign_form: "Este formulario no vino de las páginas de este sitio y no se hizo nada. Vuelva, recargue e intente de nuevo.",
    signed_out: "Su sesión terminó y no se hizo nada. Si escribió algo, vuelva atrás y cópielo antes de entrar de nuevo.",
    too_often: "Demasiados intentos. Espere un minuto e intente de nuevo.",
    too_slow: "Lo que envió tardó demasiado en llegar y no se hizo nada. Revise su conexión e intente de nuevo.",
    store: "Ahora no se puede escribir en la base de datos y no se hizo nada. Avise a su informático; el registro dice por qué.",
    broken: "Algo falla de nuestro lado. No se hizo nada. Avise a su informático; el registro dice más.",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}
