// SPDX-License-Identifier: Apache-2.0
package cni.netlink.ffm;

import cni.netlink.ffm.libc.Libc;

/** The error numbers that callers distinguish (asm-generic/errno-base.h and errno.h). */
public final class Errno {
  public static final int EPERM = 1;
  public static final int ENOENT = 2;
  public static final int ESRCH = 3;
  public static final int EINTR = 4;
  public static final int ENXIO = 6;
  public static final int EAGAIN = 11;
  public static final int EACCES = 13;
  public static final int EBUSY = 16;
  public static final int EEXIST = 17;
  public static final int EXDEV = 18;
  public static final int ENODEV = 19;
  public static final int ENOTDIR = 20;
  public static final int EISDIR = 21;
  public static final int EINVAL = 22;
  public static final int ENOTTY = 25;
  public static final int ETXTBSY = 26;
  public static final int ENAMETOOLONG = 36;
  public static final int ELOOP = 40;
  public static final int ERESTART = 85;
  public static final int ENOPROTOOPT = 92;
  public static final int EMSGSIZE = 90;
  public static final int EOPNOTSUPP = 95;
  public static final int EADDRINUSE = 98;
  public static final int EADDRNOTAVAIL = 99;
  public static final int ENETDOWN = 100;
  public static final int ENETUNREACH = 101;
  public static final int ECONNABORTED = 103;
  public static final int ENOBUFS = 105;
  public static final int ETIMEDOUT = 110;
  public static final int ECONNREFUSED = 111;
  public static final int EHOSTUNREACH = 113;
  public static final int EINPROGRESS = 115;

  private Errno() {}

  /** Returns the C library's text for an error number, such as "File exists"; strerror(3). */
  public static String describe(int errno) {
    return Libc.strerror(errno);
  }
}
