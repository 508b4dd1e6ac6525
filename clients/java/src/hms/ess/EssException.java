package hms.ess;

/** A webhook that cannot be trusted; the message says what is wrong and what to look at. Answer it with 401. */
public class EssException extends Exception {
    private static final long serialVersionUID = 1;

    public EssException(String message) {
        super(message);
    }
}
