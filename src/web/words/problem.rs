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
    pub form_incomplete: &'static str,
    pub form_garbled: &'static str,
    pub form_too_large: &'static str,
    pub form_too_slow: &'static str,
    pub bad_address: &'static str,
    pub bad_method: &'static str,
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
    form_incomplete: "A field of the form is missing or is not what belongs there, so nothing was done. Go back: what you typed is still there. Reload the page if it has been open for long, and send it again.",
    form_garbled: "Some letters did not come through whole, so nothing was done. Go back: what you typed is still there. Type the special characters anew, and send it again.",
    form_too_large: "That is more than can be sent at once, so nothing was done. Go back: what you typed is still there. Shorten it, or send it in parts.",
    form_too_slow: "The form did not come through whole, so nothing was done. Go back: what you typed is still there. Check your connection, and send it again.",
    bad_address: "Something in this address cannot be read. Go back to the inbox and find the page from there.",
    bad_method: "There is a page here, but it is not opened or sent in this way. Go back to the inbox and find it from there.",
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
    form_incomplete: "Falta un campo del formulario o no es lo que debe, y no se hizo nada. Vuelva atrás: lo que escribió sigue ahí. Recargue la página si lleva mucho abierta y envíelo de nuevo.",
    form_garbled: "Algunas letras no llegaron enteras y no se hizo nada. Vuelva atrás: lo que escribió sigue ahí. Escriba de nuevo los caracteres especiales y envíelo otra vez.",
    form_too_large: "Es más de lo que se puede enviar de una vez y no se hizo nada. Vuelva atrás: lo que escribió sigue ahí. Acórtelo o envíelo por partes.",
    form_too_slow: "El formulario no llegó entero y no se hizo nada. Vuelva atrás: lo que escribió sigue ahí. Revise su conexión y envíelo de nuevo.",
    bad_address: "Algo en esta dirección no se puede leer. Vuelva a la bandeja y busque la página desde allí.",
    bad_method: "Aquí hay una página, pero no se abre ni se envía de este modo. Vuelva a la bandeja y búsquela desde allí.",
};

/// In `ui`.
pub fn words(ui: Ui) -> &'static Words {
    ui.pick(&EN, &ES)
}
