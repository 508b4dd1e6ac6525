package hms.ess;

/** A webhook that is not to be believed; the message says what is wrong and what to look at. Answer it with 401. */
public class EssException extends Exception {
    private static final long serialVersionUID = 1;

    public EssException(String message) {
        super(message);
    }
}
