/* SPDX-License-Identifier: MIT */
#include "wire/tls.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/err.h"

struct tls {
    SSL *ssl;
    int fd;
    short wants;
    int code; /* of what has ended it */
    char why[300];
    const char *shown;
};

/* ── OpenSSL, once it is needed ──────────────────────────────────────────────────────────────────────────────────── */

/* Every function of it that is called, by its own type. */
#define SYMBOLS(X)                        \
    X(OPENSSL_init_ssl)                   \
    X(TLS_client_method)                  \
    X(SSL_CTX_new)                        \
    X(SSL_CTX_free)                       \
    X(SSL_CTX_ctrl)                       \
    X(SSL_CTX_set_options)                \
    X(SSL_CTX_set_verify)                 \
    X(SSL_CTX_set_default_passwd_cb)      \
    X(SSL_CTX_set_default_verify_paths)   \
    X(SSL_CTX_load_verify_locations)      \
    X(SSL_CTX_set_cert_store)             \
    X(SSL_CTX_use_certificate_chain_file) \
    X(SSL_CTX_use_PrivateKey_file)        \
    X(SSL_new)                            \
    X(SSL_free)                           \
    X(SSL_ctrl)                           \
    X(SSL_get_SSL_CTX)                    \
    X(SSL_set1_host)                      \
    X(SSL_set_hostflags)                  \
    X(SSL_get0_param)                     \
    X(SSL_set_bio)                        \
    X(SSL_connect)                        \
    X(SSL_read)                           \
    X(SSL_write)                          \
    X(SSL_pending)                        \
    X(SSL_shutdown)                       \
    X(SSL_get_error)                      \
    X(SSL_get_verify_result)              \
    X(X509_STORE_new)                     \
    X(X509_VERIFY_PARAM_set1_ip_asc)      \
    X(X509_verify_cert_error_string)      \
    X(BIO_get_new_index)                  \
    X(BIO_meth_new)                       \
    X(BIO_meth_set_read)                  \
    X(BIO_meth_set_write)                 \
    X(BIO_meth_set_ctrl)                  \
    X(BIO_new)                            \
    X(BIO_set_init)                       \
    X(BIO_set_data)                       \
    X(BIO_get_data)                       \
    X(BIO_set_flags)                      \
    X(BIO_clear_flags)                    \
    X(ERR_clear_error)                    \
    X(ERR_peek_error)                     \
    X(ERR_reason_error_string)

static struct {
#define MEMBER(name) __typeof__(name) *name;
    SYMBOLS(MEMBER)
#undef MEMBER
    BIO_METHOD *method;
    char why_not[200]; /* "": it is there */
} lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#define TEXT_OF(word)    #word
#define SONAME_OF(major) "libssl.so." TEXT_OF(major)

static int bio_done(BIO *bio, ssize_t n, int retry)
{
    lib.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) lib.BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
    return (int)n;
}

static int bio_read(BIO *bio, char *bytes, int len)
{
    struct tls *tls = lib.BIO_get_data(bio);
    return bio_done(bio, recv(tls->fd, bytes, (size_t)len, 0), BIO_FLAGS_READ);
}

static int bio_write(BIO *bio, const char *bytes, int len)
{
    struct tls *tls = lib.BIO_get_data(bio);
    return bio_done(bio, send(tls->fd, bytes, (size_t)len, MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return what == BIO_CTRL_FLUSH;
}

static bool find_all(void *handle)
{
#define FIND(name) \
    if (!(lib.name = (__typeof__(lib.name))dlsym(handle, #name))) return false;
    SYMBOLS(FIND)
#undef FIND
    return true;
}

static bool make_method(void)
{
    lib.method = lib.BIO_meth_new(lib.BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "quern");
    return lib.method && lib.BIO_meth_set_read(lib.method, bio_read) && lib.BIO_meth_set_write(lib.method, bio_write) &&
           lib.BIO_meth_set_ctrl(lib.method, bio_ctrl);
}

/* Never unloaded. It does nothing at the process's end: threads of a pool may still run then. */
static void load(void)
{
    void *handle = dlopen(SONAME_OF(OPENSSL_SHLIB_VERSION), RTLD_NOW | RTLD_LOCAL);
    bool is_whole = handle && find_all(handle) && lib.OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL) && make_method();
    if (is_whole) return;
    const char *why = dlerror();
    snprintf(lib.why_not, sizeof lib.why_not, "%s", why ? why : "no memory");
}

/* ── what went wrong ─────────────────────────────────────────────────────────────────────────────────────────────── */

/* The reason of the oldest error of this thread: the ones behind it tell who passed it on. */
static const char *reason(void)
{
    const char *text = lib.ERR_reason_error_string(lib.ERR_peek_error());
    return text ? text : "no reason is told";
}

static ssize_t fail(struct tls *tls, int code, const char *why)
{
    tls->code = code;
    snprintf(tls->why, sizeof tls->why, "%s", why);
    errno = EPROTO;
    return -1;
}

/* An alert is the server's judgement of us; what it says first where it speaks no TLS looks like a wrong version. */
static ssize_t fail_protocol(struct tls *tls)
{
    char why[240];
    int number = ERR_GET_REASON(lib.ERR_peek_error());
    if (number == SSL_R_WRONG_VERSION_NUMBER || number == SSL_R_PACKET_LENGTH_TOO_LONG ||
        number == SSL_R_BAD_PROTOCOL_VERSION_NUMBER)
        return fail(tls, QUERN_E_SERVER, "what answers there does not speak TLS; is its port the tls-port?");
    int alert = number - SSL_AD_REASON_OFFSET;
    bool is_alert = alert > 0 && alert < 256;
    bool is_of_certificates = alert == SSL_AD_HANDSHAKE_FAILURE || alert == SSL_AD_CERTIFICATE_REQUIRED ||
                              (alert >= SSL_AD_NO_CERTIFICATE && alert <= SSL_AD_ACCESS_DENIED);
    snprintf(why, sizeof why, "%s%s%s", is_alert ? "the server refuses us: " : "TLS: ", reason(),
             is_of_certificates ? "; it wants a certificate that it trusts (tls_cert)" : "");
    return fail(tls, is_alert ? QUERN_E_AUTH : QUERN_E_SERVER, why);
}

static ssize_t fail_verify(struct tls *tls, long verdict, const char *name)
{
    char why[280], hint[160] = "tls_ca";
    bool is_name = verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH;
    if (is_name) snprintf(hint, sizeof hint, "it is not of %.120s; tls_name", name);
    snprintf(why, sizeof why, "the server's certificate is not trusted: %s (%s)", lib.X509_verify_cert_error_string(verdict),
             hint);
    return fail(tls, QUERN_E_AUTH, why);
}

/* What a call that did not succeed means; n: what it has returned. 0: the other end has closed. */
static ssize_t judge(struct tls *tls, int n, int errno_then)
{
    switch (lib.SSL_get_error(tls->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        tls->wants = lib.SSL_get_error(tls->ssl, n) == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        if (!errno_then) return 0;
        errno = errno_then;
        return -1;
    default:
        /* It has hung up without saying so in TLS, as a server that is killed does. */
        if (ERR_GET_REASON(lib.ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) return 0;
        return fail_protocol(tls);
    }
}

int tls_failed(const struct tls *tls, quern_error *err)
{
    return err_set(err, tls->code, "%s: %s", tls->shown, tls->why);
}

/* ── the files ───────────────────────────────────────────────────────────────────────────────────────────────────── */

/* Never asks anybody. */
static int no_passphrase(char *into, int size, int is_for_writing, void *user)
{
    (void)into, (void)size, (void)is_for_writing, (void)user;
    return -1;
}

static int no_good(quern_error *err, const char *key, const char *path, const char *why)
{
    return err_set(err, QUERN_E_CONFIG, "%s: %s: %s", key, path, why);
}

static int use_ca(SSL_CTX *context, const char *path, quern_error *err)
{
    struct stat what;
    if (!path && lib.SSL_CTX_set_default_verify_paths(context)) return QUERN_OK;
    if (!path) return err_set(err, QUERN_E_CONFIG, "tls_ca: the system's authorities cannot be read (%s)", reason());
    if (stat(path, &what)) return no_good(err, "tls_ca", path, strerror(errno));
    bool is_folder = S_ISDIR(what.st_mode);
    if (lib.SSL_CTX_load_verify_locations(context, is_folder ? NULL : path, is_folder ? path : NULL)) return QUERN_OK;
    return no_good(err, "tls_ca", path, "no certificates in it; right would be a PEM file, or a folder made by openssl rehash");
}

static int use_key(SSL_CTX *context, const struct tls_setup *setup, quern_error *err)
{
    const char *path = setup->key ? setup->key : setup->cert;
    struct stat what;
    if (stat(path, &what)) return no_good(err, "tls_key", path, strerror(errno));
    if (what.st_mode & (S_IWGRP | S_IRWXO)) return no_good(err, "tls_key", path, "others may read or change it; chmod 600");
    if (lib.SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM)) return QUERN_OK;
    int number = ERR_GET_REASON(lib.ERR_peek_error());
    bool is_other = number == X509_R_KEY_VALUES_MISMATCH || number == X509_R_KEY_TYPE_MISMATCH;
    return no_good(err, "tls_key", path,
                   is_other ? "not the key of the certificate of tls_cert"
                            : "no private key that can be read; right would be a PEM file without a passphrase");
}

static int use_cert(SSL_CTX *context, const struct tls_setup *setup, quern_error *err)
{
    struct stat what;
    if (!setup->cert && setup->key) return err_set(err, QUERN_E_CONFIG, "tls_key: set, but no tls_cert; set both");
    if (!setup->cert) return QUERN_OK;
    if (stat(setup->cert, &what)) return no_good(err, "tls_cert", setup->cert, strerror(errno));
    if (!lib.SSL_CTX_use_certificate_chain_file(context, setup->cert))
        return no_good(err, "tls_cert", setup->cert, "no certificate in it; right would be a PEM file");
    return use_key(context, setup, err);
}

/* Gives; NULL: err says why. */
static SSL_CTX *open_context(const struct tls_setup *setup, quern_error *err)
{
    pthread_once(&once, load);
    if (*lib.why_not) {
        err_set(err, QUERN_E_CONFIG,
                "redis: TLS needs OpenSSL (" SONAME_OF(OPENSSL_SHLIB_VERSION) "), which cannot be loaded: %s", lib.why_not);
        return NULL;
    }
    lib.ERR_clear_error();
    SSL_CTX *context = lib.SSL_CTX_new(lib.TLS_client_method());
    if (!context) {
        err_set(err, QUERN_E_MEMORY, "no memory for TLS");
        return NULL;
    }
    lib.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
    lib.SSL_CTX_ctrl(context, SSL_CTRL_MODE,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS, NULL);
    lib.SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
    lib.SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    lib.SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    lib.SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    int code = use_ca(context, setup->ca, err);
    if (!code) code = use_cert(context, setup, err);
    lib.ERR_clear_error();
    if (!code) return context;
    lib.SSL_CTX_free(context);
    return NULL;
}

int tls_check(const struct tls_setup *setup, quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    SSL_CTX *context = open_context(setup, err);
    if (!context) return err->code;
    lib.SSL_CTX_free(context);
    return QUERN_OK;
}

/* ── opening ─────────────────────────────────────────────────────────────────────────────────────────────────────── */

/* A name is told to the server, too, which may have several certificates; an address never is. */
static bool set_name(SSL *ssl, const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return lib.X509_VERIFY_PARAM_set1_ip_asc(lib.SSL_get0_param(ssl), name);
    lib.SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return lib.SSL_set1_host(ssl, name) &&
           lib.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, (void *)(uintptr_t)name);
}

static bool prepare(struct tls *tls, SSL_CTX *context, const char *name)
{
    BIO *bio = lib.BIO_new(lib.method);
    tls->ssl = lib.SSL_new(context);
    if (bio && tls->ssl) {
        lib.BIO_set_data(bio, tls);
        lib.BIO_set_init(bio, 1);
        lib.SSL_set_bio(tls->ssl, bio, bio); /* takes it */
    }
    return bio && tls->ssl && set_name(tls->ssl, name);
}

/* QUERN_OK: the socket is ready for what it waits for. */
static int wait_for(const struct tls *tls, int64_t deadline_ns, quern_error *err)
{
    for (;;) {
        struct pollfd at = {.fd = tls->fd, .events = tls->wants};
        if (clock_now_ns() >= deadline_ns)
            return err_set(err, QUERN_E_CONNECT, "%s: connected, but no answer in TLS: is its port the tls-port?", tls->shown);
        int n = poll(&at, 1, clock_poll_ms(deadline_ns));
        if (n > 0) return QUERN_OK;
        if (n < 0 && errno != EINTR) return err_set(err, QUERN_E_CONNECT, "%s: %s", tls->shown, strerror(errno));
    }
}

static int shake_hands(struct tls *tls, const char *name, int64_t deadline_ns, quern_error *err)
{
    for (;;) {
        lib.ERR_clear_error();
        errno = 0;
        int n = lib.SSL_connect(tls->ssl), errno_then = errno;
        if (n == 1) return QUERN_OK;
        long verdict = lib.SSL_get_verify_result(tls->ssl);
        bool is_distrusted = ERR_GET_REASON(lib.ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED && verdict != X509_V_OK;
        ssize_t judged = is_distrusted ? fail_verify(tls, verdict, name) : judge(tls, n, errno_then);
        if (!judged)
            return err_set(err, QUERN_E_CONNECT, "%s: the server hung up when it was asked for TLS; is its port the tls-port?",
                           tls->shown);
        if (errno == EPROTO) return tls_failed(tls, err);
        if (errno != EAGAIN) return err_set(err, QUERN_E_CONNECT, "%s: %s", tls->shown, strerror(errno));
        int code = wait_for(tls, deadline_ns, err);
        if (code) return code;
    }
}

/* The authorities have done their work, and take room: a system has a hundred and more. */
static void forget_authorities(SSL *ssl)
{
    X509_STORE *nobody = lib.X509_STORE_new();
    if (nobody) lib.SSL_CTX_set_cert_store(lib.SSL_get_SSL_CTX(ssl), nobody);
}

int tls_open(struct tls **tls, int fd, const struct tls_setup *setup, int64_t deadline_ns, quern_error *err)
{
    quern_error own;
    if (!err) err = &own;
    SSL_CTX *context = open_context(setup, err);
    if (!context) return err->code;
    struct tls *made = calloc(1, sizeof *made);
    if (made) *made = (struct tls){.fd = fd, .wants = POLLIN, .shown = setup->shown};
    bool is_whole = made && prepare(made, context, setup->name);
    lib.SSL_CTX_free(context);
    int code = is_whole ? shake_hands(made, setup->name, deadline_ns, err) : err_set(err, QUERN_E_MEMORY, "no memory for TLS");
    if (code) {
        if (made) lib.SSL_free(made->ssl);
        free(made);
        return code;
    }
    forget_authorities(made->ssl);
    *tls = made;
    return QUERN_OK;
}

void tls_close(struct tls *tls)
{
    if (!tls) return;
    if (!tls->code) lib.SSL_shutdown(tls->ssl);
    lib.ERR_clear_error();
    lib.SSL_free(tls->ssl);
    free(tls);
}

/* ── once it is open ─────────────────────────────────────────────────────────────────────────────────────────────── */

static int at_most(size_t len)
{
    return len > INT32_MAX ? INT32_MAX : (int)len;
}

ssize_t tls_read(struct tls *tls, void *bytes, size_t len)
{
    lib.ERR_clear_error();
    errno = 0;
    int n = lib.SSL_read(tls->ssl, bytes, at_most(len));
    tls->wants = POLLIN;
    return n > 0 ? n : judge(tls, n, errno);
}

ssize_t tls_write(struct tls *tls, const void *bytes, size_t len)
{
    lib.ERR_clear_error();
    errno = 0;
    int n = lib.SSL_write(tls->ssl, bytes, at_most(len));
    if (n > 0) return n;
    ssize_t judged = judge(tls, n, errno);
    if (judged) return judged;
    errno = ECONNRESET; /* nothing can be written any more */
    return -1;
}

bool tls_holds(const struct tls *tls)
{
    return lib.SSL_pending(tls->ssl) > 0;
}

short tls_wants(const struct tls *tls)
{
    return tls->wants;
}
