package hms.ess;

import java.io.ByteArrayOutputStream;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * ESS's public keys, by which a webhook of a subscriber with {@code signatures: [ed25519]} is verified. ESS serves them at
 * {@code /.well-known/jwks.json}.
 */
public final class PublicKeys {
    private static final Pattern KEY = Pattern.compile("\\{[^{}]*\\}");
    private static final Pattern ED25519 = Pattern.compile("\"crv\"\\s*:\\s*\"Ed25519\"");
    private static final Pattern X = Pattern.compile("\"x\"\\s*:\\s*\"([^\"]*)\"");
    /** What stands before the 32 bytes in an X.509 encoded key (RFC 8410). */
    private static final byte[] HEAD = HexFormat.of().parseHex("302a300506032b6570032100");

    private final List<PublicKey> keys = new ArrayList<>();

    private PublicKeys() {
    }

    /** Reads a JWK Set. Keys of other kinds are passed over. */
    public static PublicKeys of(String jwks) {
        PublicKeys all = new PublicKeys();
        for (Matcher key = KEY.matcher(jwks); key.find();)
            if (ED25519.matcher(key.group()).find())
                all.keys.add(keyOf(key.group()));
        if (all.keys.isEmpty())
            throw new IllegalArgumentException("the JWKS has no Ed25519 key; is it what ESS serves at /.well-known/jwks.json?");
        return all;
    }

    private static PublicKey keyOf(String jwk) {
        Matcher x = X.matcher(jwk);
        try {
            byte[] raw = Base64.getUrlDecoder().decode(x.find() ? x.group(1) : "");
            if (raw.length != 32)
                throw new IllegalArgumentException("a key has 32 bytes");
            ByteArrayOutputStream encoded = new ByteArrayOutputStream();
            encoded.writeBytes(HEAD);
            encoded.writeBytes(raw);
            return KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(encoded.toByteArray()));
        } catch (IllegalArgumentException | GeneralSecurityException e) {
            throw new IllegalArgumentException("the JWKS has a damaged Ed25519 key", e);
        }
    }

    /** Whether any of the signatures is by any of the keys. */
    boolean haveSigned(String signatures, byte[] head, byte[] body) {
        for (String signature : signatures.split(" "))
            for (PublicKey key : keys)
                if (signature.startsWith("v1a,") && isBy(key, signature.substring(4), head, body))
                    return true;
        return false;
    }

    private static boolean isBy(PublicKey key, String signature, byte[] head, byte[] body) {
        try {
            Signature check = Signature.getInstance("Ed25519");
            check.initVerify(key);
            check.update(head);
            check.update(body);
            return check.verify(Base64.getDecoder().decode(signature));
        } catch (IllegalArgumentException | GeneralSecurityException e) { // a signature of another shape
            return false;
        }
    }
}
