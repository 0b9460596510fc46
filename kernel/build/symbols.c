/*
 * Stands between ccache and a compiler, and makes the dependency file that the compiler wrote more exact: in place of
 * generated/autoconf.h, which changes with every symbol, it names one file for each CONFIG_ symbol that the source and
 * its headers mention. So a cached object is taken only where each of these symbols has the value it had then, and it
 * is taken although others changed. Kbuild's fixdep decides in the same way what an incremental build compiles again.
 *
 *     KERNEL_SYMBOLS=DIRECTORY symbols COMPILER ARGUMENT...
 *
 * DIRECTORY is written by symbols.py. Whatever can't be judged keeps the whole of autoconf.h as its dependency, and
 * what reads files that no dependency file names (.incbin, .include) depends on a file that no two builds share.
 * The object itself is never touched.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char autoconf[] = "generated/autoconf.h";
static const char *directory;
static void *names;		/* every name that was met, for the file it stands for */
static FILE *out;
static int unjudged;		/* the symbols can't be told: autoconf.h stays */
static int reads_files;		/* the assembler reads files of its own */
static int others;		/* a name that no Kconfig file defines */

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void die(const char *what)
{
	fprintf(stderr, "symbols: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Whether `name` has a file; the first time it is asked for, that file becomes a dependency. */
static int depend(const char *name)
{
	char path[4096];

	if (tfind(name, &names, compare))
		return 1;
	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		return 0;
	if (access(path, F_OK))
		return 0;
	if (!tsearch(strdup(name), &names, compare))
		die("tsearch");
	fprintf(out, " \\\n  %s", path);
	return 1;
}

/* One word behind CONFIG_. IS_ENABLED(CONFIG_X) looks at CONFIG_X_MODULE too; the file of X tells of both. */
static void symbol(const char *text, size_t length)
{
	static const char module[] = "_MODULE";
	const size_t tail = sizeof(module) - 1;
	char name[256];
	int known;

	if (length >= sizeof(name)) {
		unjudged = 1;
		return;
	}
	memcpy(name, text, length);
	name[length] = 0;
	known = depend(name);
	if (length > tail && !strcmp(name + length - tail, module)) {
		name[length - tail] = 0;
		known |= depend(name);
	}
	if (!known)
		others = 1;
}

static int of_word(int c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* Whether the word that ends here goes on: pasted to another, or in the next line. */
static int goes_on(const char *at, const char *end)
{
	if (at < end && *at == '\\')
		return 1;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return end - at >= 2 && at[0] == '#' && at[1] == '#';
}

/* `.include "FILE"`, in a string of C with a backslash before the quote. */
static int includes_in_assembly(const char *text, size_t size)
{
	static const char include[] = ".include";
	const char *end = text + size, *at = text;

	while ((at = memmem(at, end - at, include, sizeof(include) - 1))) {
		at += sizeof(include) - 1;
		while (at < end && (*at == ' ' || *at == '\t' || *at == '\\'))
			at++;
		if (at < end && *at == '"')
			return 1;
	}
	return 0;
}

static void scan(const char *text, size_t size)
{
	static const char config[] = "CONFIG";
	const char *end = text + size, *at = text, *name;

	while ((at = memmem(at, end - at, config, sizeof(config) - 1))) {
		at += sizeof(config) - 1;
		name = at < end && *at == '_' ? at + 1 : NULL;
		while (at < end && of_word(*at))
			at++;
		if (goes_on(at, end))
			unjudged = 1;
		else if (name && at > name)
			symbol(name, at - name);
	}
	if (memmem(text, size, ".incbin", 7) || includes_in_assembly(text, size))
		reads_files = 1;
}

static void scan_file(const char *path)
{
	struct stat status;
	char *text;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0 || fstat(file, &status)) {
		unjudged = 1;
	} else if (status.st_size) {
		text = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
		if (text == MAP_FAILED)
			die(path);
		scan(text, status.st_size);
		munmap(text, status.st_size);
	}
	if (file >= 0)
		close(file);
}

static char *read_all(const char *path)
{
	struct stat status;
	char *text;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0 || fstat(file, &status) || !(text = malloc(status.st_size + 1)))
		return NULL;
	if (read(file, text, status.st_size) != status.st_size)
		die(path);
	text[status.st_size] = 0;
	close(file);
	return text;
}

static int ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && !strcmp(text + length - tail, end);
}

/*
 * make's syntax as compilers write it: `target: dependency \` and so on over many lines. Answers whether autoconf.h is
 * among them; everything that was read is copied to `out`, without autoconf.h.
 */
static int copy_dependencies(char *text)
{
	char *word, *rest = text;
	int found = 0, begun = 0;

	while ((word = strsep(&rest, " \n"))) {
		if (!*word || !strcmp(word, "\\"))
			continue;
		if (!begun) {
			fputs(word, out);
			begun = ends_with(word, ":");
		} else if (ends_with(word, autoconf)) {
			found = 1;
		} else {
			fprintf(out, " \\\n  %s", word);
			scan_file(word);
		}
	}
	return found;
}

/* An argument can name a symbol as well, such as -DCONFIG_X: what is defined in the call counts like the header's. */
static void rewrite(const char *path, char **arguments)
{
	char *text = read_all(path), *copy, *exact = NULL;
	size_t size = 0, length;
	int configured;
	FILE *file;

	/* Quoted names and several rules in one file are not what Kbuild's compilers write. */
	if (!text || strchr(text, '$') || strstr(text, "\\ ") || strstr(text, "\n\n"))
		return;
	copy = strdup(text);
	out = open_memstream(&exact, &size);
	if (!copy || !out)
		die(path);
	configured = copy_dependencies(copy);
	for (; *arguments; arguments++)
		scan(*arguments, strlen(*arguments));
	if (others)
		depend(".others");
	fclose(out);
	if (!configured && !reads_files)
		return;
	file = fopen(path, "w");
	if (!file)
		die(path);
	if (configured && !unjudged) {
		fputs(exact, file);
	} else {
		for (length = strlen(text); length && text[length - 1] == '\n'; length--)
			;
		fwrite(text, 1, length, file);
	}
	if (reads_files)
		fprintf(file, " \\\n  %s/.once", directory);
	fputc('\n', file);
	if (fclose(file))
		die(path);
}

static const char *dependency_file(char **arguments)
{
	for (; *arguments; arguments++) {
		if (!strncmp(*arguments, "-Wp,-MMD,", 9))
			return *arguments + 9;
		if (!strncmp(*arguments, "-Wp,-MD,", 8))
			return *arguments + 8;
	}
	return NULL;
}

int main(int count, char **arguments)
{
	const char *path;
	int status;
	pid_t child;

	directory = getenv("KERNEL_SYMBOLS");
	if (count < 2 || !directory) {
		fprintf(stderr, "usage: KERNEL_SYMBOLS=DIRECTORY symbols COMPILER ARGUMENT...\n");
		return 1;
	}
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		execvp(arguments[1], arguments + 1);
		die(arguments[1]);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			die("wait");
	if (!WIFEXITED(status))
		return 1;
	path = dependency_file(arguments + 1);
	if (WEXITSTATUS(status) || !path || access(directory, F_OK))
		return WEXITSTATUS(status);
	rewrite(path, arguments + 2);
	return 0;
}
