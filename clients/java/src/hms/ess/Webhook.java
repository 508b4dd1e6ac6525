package hms.ess;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.function.Function;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Checks that a webhook is really from ESS, and whole, after the Standard Webhooks specification. Any thread may use it. */
public final class Webhook {
    private final List<SecretKeySpec> keys = new ArrayList<>();
    private final PublicKeys publicKeys; // null: none
    private final Duration tolerance;
    private final Clock clock;

    /** One secret, or several of which one must fit: during a rotation, the old and the new one. A webhook may be 5 minutes old. */
    public Webhook(String... secrets) {
        this(Duration.ofMinutes(5), Clock.systemUTC(), secrets);
    }

    /** For a subscriber with {@code signatures: [ed25519]}. Secrets may stand beside the keys: one of all must fit. */
    public Webhook(PublicKeys publicKeys, String... secrets) {
        this(Duration.ofMinutes(5), Clock.systemUTC(), publicKeys, secrets);
    }

    public Webhook(Duration tolerance, Clock clock, String... secrets) {
        this(tolerance, clock, null, secrets);
    }

    public Webhook(Duration tolerance, Clock clock, PublicKeys publicKeys, String... secrets) {
        this.tolerance = tolerance;
        this.clock = clock;
        this.publicKeys = publicKeys;
        for (String secret : secrets)
            keys.add(keyOf(secret));
        if (keys.isEmpty() && publicKeys == null)
            throw new IllegalArgumentException("the secret is missing; give the one that the subscriber was registered with");
    }

    /** A secret with the prefix whsec_ is base64 of the key, any other is the key's bytes. */
    private static SecretKeySpec keyOf(String secret) {
        if (secret == null || secret.isEmpty())
            throw new IllegalArgumentException("the secret is missing; give the one that the subscriber was registered with");
        if (!secret.startsWith("whsec_"))
            return new SecretKeySpec(secret.getBytes(StandardCharsets.UTF_8), "HmacSHA256");
        try { // an empty key is an IllegalArgumentException too
            return new SecretKeySpec(Base64.getDecoder().decode(secret.substring(6)), "HmacSHA256");
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("the secret is damaged: what follows whsec_ must be base64", e);
        }
    }

    /**
     * Checks the signature (in constant time) and the age, and returns the body: an event, a batch, a heartbeat or a handshake.
     *
     * @param rawBody the bytes as they came, before any parsing
     * @param header  gives the value of a header, whatever the case of its name, or null: {@code request::getHeader} of a servlet,
     *                {@code exchange.getRequestHeaders()::getFirst} of the JDK's server
     */
    public Event verify(byte[] rawBody, Function<String, String> header) throws EssException {
        check(rawBody, header);
        return Event.of(new String(rawBody, StandardCharsets.UTF_8));
    }

    /** The same without reading the body: to give it to the CloudEvents SDK. */
    public void check(byte[] rawBody, Function<String, String> header) throws EssException {
        String id = required(header, "webhook-id");
        String timestamp = required(header, "webhook-timestamp");
        String signatures = required(header, "webhook-signature");
        if (!timestamp.matches("[0-9]{1,12}") || isFar(Long.parseLong(timestamp)))
            throw new EssException("the timestamp is more than " + tolerance.toSeconds()
                    + " s away from this clock; is one of the clocks wrong, or was it recorded?");
        byte[] head = (id + "." + timestamp + ".").getBytes(StandardCharsets.UTF_8);
        if (!isSigned(signatures, head, rawBody) && !(publicKeys != null && publicKeys.haveSigned(signatures, head, rawBody)))
            throw new EssException("the signature does not fit; is it the secret of this subscriber, and the body as it came?");
    }

    private static String required(Function<String, String> header, String name) throws EssException {
        String value = header.apply(name);
        if (value == null || value.isEmpty())
            throw new EssException("the header " + name + " is missing; did a proxy drop it, or is this no webhook of ESS?");
        return value;
    }

    private boolean isFar(long timestamp) {
        return Math.abs(clock.millis() - 1000 * timestamp) > tolerance.toMillis();
    }

    /** Whether any signature is that of any key. All are looked at, so that the time tells nothing. */
    private boolean isSigned(String signatures, byte[] head, byte[] body) {
        boolean good = false;
        for (SecretKeySpec key : keys) {
            byte[] expected = ("v1," + Base64.getEncoder().encodeToString(mac(key, head, body))).getBytes(StandardCharsets.UTF_8);
            for (String signature : signatures.split(" "))
                good |= MessageDigest.isEqual(signature.getBytes(StandardCharsets.UTF_8), expected);
        }
        return good;
    }

    private static byte[] mac(SecretKeySpec key, byte[] head, byte[] body) {
        try {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(key);
            mac.update(head);
            return mac.doFinal(body);
        } catch (GeneralSecurityException e) { // every JDK has it
            throw new IllegalStateException(e);
        }
    }
}
